//! The job file that `starling job init` writes: every key, explained.

use protocol::config::{Distance, Gossip, Mode};
use protocol::trust::admission::SwarmKey;
use protocol::{codec, merge, partner, trigger};
use shaders::data::{self, Vocabulary};
use shaders::engine::products::Precision;
use shaders::models::{self, network::Loss};
use shaders::optim::{self, schedule};

/// Names and what they mean, a comment line each.
fn choices<'a>(all: impl Iterator<Item = (&'a str, &'a str)>) -> String {
    all.map(|(name, about)| format!("#   {name:<20} {about}\n")).collect()
}

/// A commented job. Its values are those of the demo job (a test holds them together).
#[must_use]
pub fn template(name: &str, key: Option<SwarmKey>) -> String {
    let key = match key {
        Some(key) => {
            let digits: String = key.iter().map(|byte| format!("{byte:02x}")).collect();
            format!(
                "# Who holds this key may join: this file is the invitation, so pass it on as you would pass on a password.\nkey = \"{digits}\""
            )
        }
        None => "# No key: everyone may join.".to_owned(),
    };
    let codecs = choices(codec::ALL.iter().map(|codec| (codec.name(), codec.about())));
    let partners = choices(partner::ALL.iter().map(|partner| (partner.name(), partner.about())));
    let modes = choices(Mode::ALL.iter().map(|mode| (mode.name(), mode.about())));
    let merges = choices(merge::ALL.iter().map(|rule| (rule.name(), rule.about())));
    let distances = choices(Distance::ALL.iter().map(|distance| (distance.name(), distance.about())));
    let triggers = choices(trigger::ALL.iter().map(|trigger| (trigger.name(), trigger.about())));
    let optimizers = choices(optim::ALL.iter().copied());
    let vocabularies = choices(Vocabulary::ALL.iter().copied());
    let losses = choices(Loss::ALL.iter().map(|(_, name, about)| (*name, *about)));
    let kinds = choices(models::ALL.iter().copied());
    let precisions = choices(Precision::ALL.iter().map(|(_, name, about)| (*name, *about)));
    let sets = choices(data::ALL.iter().map(|set| (set.name, set.about)));
    let normalize = choices(data::Normalize::ALL.iter().map(|(_, name, about)| (*name, *about)));
    let schedules = choices(schedule::ALL.iter().copied());
    let by_peers = choices(schedule::BY_PEERS.iter().copied());
    format!(
        r#"# A starling job: what a swarm trains, and who may take part.
#
# Put this file on every machine and run there:   starling run --job job.toml
# Peers of one LAN find each other. All values must be the same everywhere, but data.path and those of which it says that each machine has or
# may choose its own: peers of different jobs do not meet. What is left out has the value shown here.

[swarm]
name = "{name}"
{key}
# This machine links with these peers only (`starling swarm allow`). Each machine may have its own list: it is not part of the
# job. Whose deltas count is another question: [trust] allow.
# allow = ["ID", "ID"]

[model]
# What is trained:
{kinds}kind = "mlp"
# Widths of the hidden layers. Of cnn, those behind the stages: none, where nothing is said.
hidden = [64, 64]
# Of cnn: channels of each stage, and residual blocks of each; 0 for convolutions and pools only.
# channels = [16, 32]
# residual_blocks = 0
# Of lm: tokens that it sees, its width, layers and heads; norm "rms" or "layer"; activation "relu", "gelu" or "silu".
# context = 64
# width = 128
# layers = 4
# heads = 4
# norm = "rms"
# activation = "gelu"
# dropout = 0.0
# What is made small:
{losses}loss = "cross_entropy"

[data]
# A set by its name:
{sets}# or instead  path = "PATH"  with data of your own, told by content (docs/data.md): CSV, NPY, NPZ, a folder of pictures for each class, or
# the four idx files of MNIST, each plain or as .gz:
# train-images-idx3-ubyte, train-labels-idx1-ubyte, t10k-images-idx3-ubyte, t10k-labels-idx1-ubyte.
# A model of kind lm wants  path = "FILE.txt"  instead: a text, plain or as .gz, whose last tenth is evaluated on.
set = "digits"
# Of a table: the column of the label, by name or number; each machine may name its own.
# label = "class"
# How many classes there are, or their names in order. Needed where a peer's own data do not show all of them.
# classes = 10
# Share that is tested on where the data have no part for it, and share of the rest that is evaluated on in its place while it trains.
# test = 0.1
# validation = 0.0
# Whether numbers are brought to mean 0 and deviation 1:
{normalize}# normalize = "auto"
# Height and width that pictures are brought to; pixels that they are moved by at most in training, and whether they are mirrored.
# size = [32, 32]
# shift = 2
# flip = true
# Of a text, what the tokens of a model of kind lm are:
{vocabularies}# vocabulary = "bytes"
# "iid": every shard looks like the whole. "dirichlet:ALPHA": the smaller ALPHA, the less alike they are. "classes:K": every
# shard holds K classes only. "rendezvous": samples are dealt among the peers that live by their pace, and again as peers come and go.
split = "iid"
# Into how many shards the training samples are split. A peer takes the one that its identity draws, or --shard I/N.
shards = 4
# Samples a step.
batch = 16

[optimizer]
# How a peer steps:
{optimizers}kind = "sgd"
# Of sgd:
# momentum = 0.9
# nesterov = false
# Of adamw:
# weight_decay = 0.01
# A gradient longer than this, over all parameters together, is shortened to it.
# clip = 1.0
# learning_rate = {rate}
# How the rate changes while the swarm makes progress: samples are those of all peers together, so peers that join late or are
# slow have the rate of the others.
{schedules}schedule = "constant"
# And with the number of peers, whose mean is the less noisy the more they are:
{by_peers}rate_by_peers = "constant"
# Over so many samples it rises from 0 first, whatever it does then.
# warm_up_samples = 0
# Of cosine: when it is down, and the share of the rate that is left then.
# total_samples = 1000000
# floor = {floor}

[gossip]
# How progress is shared:
{modes}mode = "incremental"
# Of incremental, for swarms that are too large to hear everybody; virtual peers only so far (starling sim saturation):
# groups = 1
# Of full_sync: a peer whose delta is missing for so long is left out of the round.
# round_deadline_s = {deadline}
# Of pairwise, how models are merged:
{merges}# merge = "average"
# How a peer says what it has learnt:
{codecs}codec = "top_k_2bit"
# Share of a delta that goes into the shared model, times the number of living peers. More is faster until it diverges.
# gain = {gain}
# Optimizer steps between two deltas.
steps = 10
# What decides that one is due:
{triggers}trigger = "every_h"
# trigger_drift = 0.01
# trigger_plateau = 0.01
# What the link of this machine carries; each machine has its own.
# link_bytes_per_second = 1e7
# With whom a peer compares notes:
{partners}partner = "uniform"
# partner_alpha = 1.0
# What exponential calls near:
{distances}# partner_distance = "loss"
# Who meets whom with partner = "fixed", as pairs of ids of 64 hex digits.
# partner_graph = [["ID", "ID"], ["ID", "ID"]]

[trust]
# Peers suspect whoever says what cannot be honest, vote, and take back what it said. All peers of a run must agree on that.
# enabled = true
# The first so many deltas of a peer weigh at most a tenth: whoever takes a new identity for every lie pays for it in deltas.
# probation = 16
# Only these peers' deltas count: ids of 64 hex digits. Without it everybody's who knows the key.
# allow = ["ID", "ID"]

[training]
# Epochs that a peer takes; without it, it trains until it is stopped. Each machine may choose its own.
# epochs = 30
# It stops earlier when so many epochs in a row have brought no lower loss on what it evaluates on. Each machine may choose.
# patience = 5
# The model is evaluated at the end of each epoch; of long ones every so many steps, too. Each machine may choose.
# evaluate_every = 1000
# Less memory and a third more work: activations are computed again in place of being kept. Each machine may choose.
# recompute = false
# In what a GPU keeps the operands of products while it multiplies; weights, activations and sums are f32 anyway. Where a device
# has no f16, f32 is used. Each machine may choose:
{precisions}# precision = "f32"
# Of a classifier: how much each class counts. "balanced": all classes alike, however many samples they have; or a weight for each, in order.
# class_weights = "balanced"
# Of the split and of the order of samples.
seed = 1
"#,
        deadline = Gossip::default().round_deadline.as_secs_f64(),
        rate = super::OptimizerKind::Sgd { momentum: 0.9, nesterov: false }.learning_rate_default(),
        floor = super::optimizer::FLOOR_DEFAULT,
        gain = codec::by_name("top_k_2bit").map_or(1.0, codec::Codec::gain_default),
    )
}
