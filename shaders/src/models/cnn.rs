//! Convolutional networks for pictures: a plain one, or a small residual network.
//!
//! Without residual blocks, in the manner of LeNet (LeCun et al. 1998): for every entry of `channels` a convolution 3 x 3 with ReLU
//! and a max pool 2 x 2; then a perceptron.
//!
//! With them, in the manner of ResNet (He et al. 2015, arXiv 1512.03385) with group norm in place of batch norm (Wu and He 2018,
//! arXiv 1803.08494): a convolution 3 x 3; for every entry of `channels` a stage of blocks, the first of which halves the
//! picture from the second stage on; the mean over the picture; then a perceptron.
//!
//! ```text
//! block(x) = relu( norm(conv( relu(norm(conv(x))) )) + shortcut(x) )        shortcut = x, or conv 1 x 1 where the shape changes
//! ```
//!
//! Parameters in buffer order: `stem`, `stages.S.blocks.B.{conv1, norm1, conv2, norm2, shortcut}`, each `.weight` [O, K, K, C]
//! and `.bias`, then the perceptron's `layers.I`.

use super::mlp;
use super::network::{Init, Network, Value};
use super::{CnnSpec, ModelError};
use crate::kernels::Activation;
use crate::layers::add::Add;
use crate::layers::conv2d::Conv2d;
use crate::layers::norm::{self, Norm};
use crate::layers::pool::{self, Pool};

/// Channels of a group of group norm, where they divide.
const GROUP_CHANNELS: usize = 8;
/// Shortest side of a picture that a pool or a stage still halves.
const SIDE_MIN: usize = 2;

/// A network in the making: where the picture stands.
struct Builder {
    network: Network,
    at: Value,
    picture: [usize; 3],
}

/// The network for pictures of these extents, [H, W] or [H, W, C].
pub(super) fn build(spec: &CnnSpec, shape: &[usize], classes: usize) -> Result<Network, ModelError> {
    let wrong = |wanted: String| ModelError::Shape { model: "cnn", wanted, found: shape.to_vec() };
    let picture = match *shape {
        [height, width] => [height, width, 1],
        [height, width, channels] => [height, width, channels],
        _ => return Err(wrong("pictures: [height, width] or [height, width, channels]".into())),
    };
    let halvings = if spec.residual_blocks == 0 { spec.channels.len() } else { spec.channels.len().saturating_sub(1) };
    let least = SIDE_MIN << halvings.saturating_sub(1);
    if halvings > 0 && picture[0].min(picture[1]) < least {
        return Err(wrong(format!("pictures of at least {least} x {least}, since it halves them {halvings} times")));
    }
    let network = Network::new(shape.iter().product(), classes);
    let mut builder = Builder { at: network.batch(), network, picture };
    if spec.residual_blocks == 0 {
        for (i, &channels) in spec.channels.iter().enumerate() {
            builder.convolution(&format!("convolutions.{i}"), channels as usize, 3, 1, Activation::Relu);
            builder.pool(pool::Kind::Max, [2, 2], 2);
        }
    } else {
        builder.convolution("stem", spec.channels.first().map_or(1, |&c| c as usize), 3, 1, Activation::Relu);
        for (stage, &channels) in spec.channels.iter().enumerate() {
            for block in 0..spec.residual_blocks {
                let stride = if stage > 0 && block == 0 { 2 } else { 1 };
                builder.block(&format!("stages.{stage}.blocks.{block}"), channels as usize, stride);
            }
        }
        let [height, width, _] = builder.picture;
        builder.pool(pool::Kind::Average, [height, width], 1);
    }
    let features = builder.picture.iter().product();
    mlp::head(&mut builder.network, builder.at, features, &spec.hidden, classes);
    Ok(builder.network)
}

/// The picture that the perceptron reads, [H, W, C]; `None` for samples that are no pictures.
pub(super) fn last_picture(spec: &CnnSpec, shape: &[usize]) -> Option<[usize; 3]> {
    let &[height, width, ..] = shape else { return None };
    let channels = spec.channels.last().map_or(1, |&channels| channels as usize);
    if spec.residual_blocks > 0 {
        return Some([1, 1, channels]);
    }
    let halved = |side: usize| spec.channels.iter().fold(side, |side, _| side / 2);
    Some([halved(height), halved(width), channels])
}

impl Builder {
    fn convolution(&mut self, name: &str, outputs: usize, kernel: usize, stride: usize, activation: Activation) {
        let inputs = self.picture[2];
        let init = Init::he(kernel * kernel * inputs);
        let offset = self.network.tensor(format!("{name}.weight"), &[outputs, kernel, kernel, inputs], init);
        self.network.tensor(format!("{name}.bias"), &[outputs], Init::Constant(0.0));
        let padding = kernel / 2;
        let conv = Conv2d { picture: self.picture, outputs, kernel, stride, padding, activation, offset };
        self.picture = conv.output();
        self.at = self.network.add(conv, &[self.at]);
    }

    fn norm(&mut self, name: &str, activation: Activation) {
        let [height, width, channels] = self.picture;
        let offset = self.network.tensor(format!("{name}.weight"), &[channels], Init::Constant(1.0));
        self.network.tensor(format!("{name}.bias"), &[channels], Init::Constant(0.0));
        let kind = norm::Kind::Group(groups(channels));
        let norm = Norm { kind, places: height * width, channels, activation, offset };
        self.at = self.network.add(norm, &[self.at]);
    }

    fn pool(&mut self, kind: pool::Kind, window: [usize; 2], stride: usize) {
        let pool = Pool { kind, picture: self.picture, window, stride };
        self.picture = pool.output();
        self.at = self.network.add(pool, &[self.at]);
    }

    fn block(&mut self, name: &str, channels: usize, stride: usize) {
        let (before, picture) = (self.at, self.picture);
        self.convolution(&format!("{name}.conv1"), channels, 3, stride, Activation::None);
        self.norm(&format!("{name}.norm1"), Activation::Relu);
        self.convolution(&format!("{name}.conv2"), channels, 3, 1, Activation::None);
        self.norm(&format!("{name}.norm2"), Activation::None);
        let (inner, output) = (self.at, self.picture);
        (self.at, self.picture) = (before, picture);
        if picture != output {
            self.convolution(&format!("{name}.shortcut"), channels, 1, stride, Activation::None);
        }
        let sum = Add { width: output.iter().product(), activation: Activation::Relu };
        self.at = self.network.add(sum, &[inner, self.at]);
        self.network.end_segment();
    }
}

/// Groups of so many channels.
pub(super) fn groups(channels: usize) -> usize {
    if channels.is_multiple_of(GROUP_CHANNELS) { channels / GROUP_CHANNELS } else { 1 }
}
