//! A language model place by place: what continues a text computes one place for each token, and not a whole window.
//!
//! The same parameters, two networks. That of a window computes all places at once; its queries, keys and values, turned by their places, are kept
//! where they lie. That of a step computes the next place from its token and what is kept, and keeps its own. A place depends on those before it
//! alone, so its logits are those of the window but for the order of sums.

use super::network::{Inputs, Network, Value};
use crate::engine::plan::Draft;
use crate::engine::{Buffer, Executor, ExecutorError, Prepared};
use crate::layers::attention;

/// See the module. What `models::lm` puts together.
#[derive(Debug)]
pub struct Steps {
    /// Of one place, on the same parameters.
    pub(super) network: Network,
    /// For every layer of attention the value of the window's network that it reads, and the step's table where it is kept.
    pub(super) kept: Vec<(Value, usize)>,
    /// The step's table with the angles of its place.
    pub(super) angles: usize,
    /// The step's table with the number of its place.
    pub(super) place: usize,
    /// E.
    pub(super) head_width: usize,
}

/// A text on a device, of as many tokens as a window has places at most.
#[derive(Debug)]
pub struct Continuation {
    window: Pass,
    step: Pass,
    angles: Buffer,
    place: Buffer,
    head_width: usize,
    context: usize,
    classes: usize,
    /// Tokens whose keys and values are kept.
    seen: Vec<u32>,
    words: Vec<u32>,
}

#[derive(Debug)]
struct Pass {
    x: Buffer,
    logits: Buffer,
    prepared: Prepared,
}

impl Pass {
    fn new(
        on: &mut dyn Executor,
        network: &Network,
        inputs: &Inputs,
        theta: Buffer,
        kept: &[(Value, Buffer)],
    ) -> Result<Self, ExecutorError> {
        let logits = on.allocate(network.rows() * network.classes())?;
        let mut draft = Draft::new(on.choices());
        network.logits_keeping(&mut draft, theta, inputs, logits, kept);
        let recording = draft.place(on)?;
        let prepared = on.prepare(recording)?;
        Ok(Self { x: inputs.x, logits, prepared })
    }
}

impl Continuation {
    /// For texts that the model with parameters `theta` continues; `None` of a model that reads none.
    ///
    /// # Errors
    /// When the device has no room or refuses a kernel.
    pub fn new(on: &mut dyn Executor, network: &Network, theta: Buffer) -> Result<Option<Self>, ExecutorError> {
        let (Some(steps), Some(context)) = (network.steps(), network.context()) else { return Ok(None) };
        let inputs = steps.network.inputs(on, 1)?;
        let step = Pass::new(on, &steps.network, &inputs, theta, &[])?;
        let kept: Vec<_> = steps.kept.iter().map(|&(value, table)| (value, inputs.tables[table])).collect();
        let window = network.inputs(on, 1)?;
        let window = Pass::new(on, network, &window, theta, &kept)?;
        let (angles, place) = (inputs.tables[steps.angles], inputs.tables[steps.place]);
        let (head_width, classes) = (steps.head_width, network.classes());
        Ok(Some(Self {
            window,
            step,
            angles,
            place,
            head_width,
            context,
            classes,
            seen: Vec::new(),
            words: Vec::new(),
        }))
    }

    /// Whatever was kept is of other parameters.
    pub fn forget(&mut self) {
        self.seen.clear();
    }

    /// Logits of what follows the last token of a text, [classes]. One place is computed where the text is that of the call before and one token
    /// more, else a window.
    ///
    /// # Errors
    /// A device failure.
    ///
    /// # Panics
    /// When there are no tokens, or more than the context: the caller sees to that.
    pub fn next(&mut self, on: &mut dyn Executor, text: &[u32]) -> Result<&[f32], ExecutorError> {
        assert!((1..=self.context).contains(&text.len()), "{} tokens, the context is {}", text.len(), self.context);
        let last = text.len() - 1;
        let follows = last > 0 && self.seen == text[..last];
        // Should the device fail, nothing is taken for known.
        self.seen.clear();
        let rows = if follows {
            let angles: Vec<u32> = attention::angles_at(last, self.head_width).collect();
            on.write(self.angles, 0, &angles)?;
            on.write(self.place, 0, &[last as u32])?;
            // A window of one place is its token and the one after it, which is not looked at.
            on.write(self.step.x, 0, bytemuck::cast_slice(&[text[last] as f32, 0.0]))?;
            on.run(self.step.prepared, 1)?;
            on.read(self.step.logits, self.classes, &mut self.words)?;
            0
        } else {
            let mut sample = vec![0.0; self.context + 1];
            // What stands behind the text is not looked at: attention is causal.
            sample.iter_mut().zip(text).for_each(|(place, &token)| *place = token as f32);
            on.write(self.window.x, 0, bytemuck::cast_slice(&sample))?;
            on.run(self.window.prepared, 1)?;
            on.read(self.window.logits, text.len() * self.classes, &mut self.words)?;
            last * self.classes
        };
        self.seen.extend_from_slice(text);
        Ok(bytemuck::cast_slice(&self.words[rows..rows + self.classes]))
    }
}
