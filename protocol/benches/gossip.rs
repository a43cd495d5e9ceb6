//! What gossip costs a peer beside its training, each beside `memcpy` of the same model in the same run:
//! codecs, the wire, and `Peer::handle` of a delta (check of signature and payload included).
//!
//! `cargo bench -p protocol`

#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs, reason = "a benchmark fails by panicking")]
#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a benchmark reads the clock; the library does not"
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use protocol::codec::{self, Codec, Decoded};
use protocol::fixed::Weight;
use protocol::id::{Hash, Origin, RunId};
use protocol::learner::{Computed, TakenDelta};
use protocol::log::{Context, Delta, Header, SignedDelta};
use protocol::schema::{Schema, Tensor};
use protocol::time::Time;
use protocol::trust::{Identity, Limits};
use protocol::wire::{self, Message};
use protocol::{Config, Input, Output, Peer};

/// 784-128-10, and a hundred times as much.
const SIZES: [usize; 2] = [101_770, 10_000_000];

fn residual(parameters: usize) -> Vec<f32> {
    (0..parameters as u64).map(|i| ((i.wrapping_mul(2_654_435_761) >> 7) % 2001) as f32 * 1e-5 - 0.01).collect()
}

fn context(parameters: usize, codec: &'static dyn Codec) -> Context {
    let tensors = vec![Tensor { name: "w".into(), shape: vec![parameters as u32] }];
    Context { run: RunId(Hash([1; 32])), schema: Schema { tensors }.hash(), parameters, codec, limits: Limits::OFF }
}

fn signed(context: &Context, payload: Vec<u8>, seq: u64, previous: Hash, l2_norm: f32) -> Delta {
    let identity = Identity::from_seed(&[2; 32]);
    let header = Header {
        origin: Origin { peer: identity.peer_id(), incarnation: 1 },
        seq,
        previous,
        heard: Hash::ZERO,
        steps: 10,
        samples: 320,
        round: 0,
        weight: Weight::HALF.raw(),
        codec: context.codec.wire_id(),
        l2_norm,
    };
    Delta::sign(context, header, payload, &identity)
}

fn encoded(codec: &dyn Codec, parameters: usize) -> (Vec<u8>, f32) {
    let mut payload = Vec::new();
    codec.encode(&residual(parameters), &mut payload);
    let mut decoded = Decoded::default();
    codec.decode(&payload, parameters, Weight::HALF, &mut decoded).expect("own bytes decode");
    (payload, decoded.l2_norm())
}

fn codecs(c: &mut Criterion) {
    for parameters in SIZES {
        let mut group = c.benchmark_group(format!("codec_{parameters}"));
        group.throughput(Throughput::Bytes(4 * parameters as u64));
        let residual = residual(parameters);
        let mut copy = residual.clone();
        group.bench_function("memcpy", |b| b.iter(|| copy.copy_from_slice(black_box(&residual))));
        for codec in codec::ALL {
            let mut payload = Vec::new();
            group.bench_function(BenchmarkId::new("encode", codec.name()), |b| {
                b.iter(|| {
                    payload.clear();
                    codec.encode(black_box(&residual), &mut payload);
                });
            });
            let mut decoded = Decoded::default();
            group.bench_function(BenchmarkId::new("decode", codec.name()), |b| {
                b.iter(|| codec.decode(black_box(&payload), parameters, Weight::HALF, &mut decoded));
            });
        }
        group.finish();
    }
}

fn wires(c: &mut Criterion) {
    for codec in codec::ALL {
        let parameters = SIZES[0];
        let (payload, l2_norm) = encoded(*codec, parameters);
        let delta = signed(&context(parameters, *codec), payload.clone(), 1, Hash::ZERO, l2_norm);
        let message = Message::Delta(delta.signed().clone());
        let mut group = c.benchmark_group(format!("wire_{}", codec.name()));
        group.throughput(Throughput::Bytes(payload.len() as u64));
        let mut copy = payload.clone();
        group.bench_function("memcpy", |b| b.iter(|| copy.copy_from_slice(black_box(&payload))));
        let mut frame = Vec::new();
        group.bench_function("encode", |b| {
            b.iter(|| {
                frame.clear();
                wire::encode_frame(black_box(&message), &mut frame)
            });
        });
        let body = frame[wire::LENGTH_BYTES..].to_vec();
        group.bench_function("decode", |b| b.iter(|| wire::decode_body::<Message>(black_box(&body))));
        group.finish();
    }
}

/// Time that a peer with one neighbour takes for `iterations` fresh deltas of it.
fn hear(context: &Context, deltas: &[std::sync::Arc<SignedDelta>], iterations: u64) -> Duration {
    let neighbour = Identity::from_seed(&[2; 32]).peer_id();
    let mut total = Duration::ZERO;
    let mut done = 0;
    while done < iterations {
        let mut peer = Peer::new(Config::default(), *context, Identity::from_seed(&[3; 32]), 1, 7);
        peer.handle(Time(0), Input::Start);
        peer.handle(Time(0), Input::Connected { peer: neighbour });
        for signed in deltas.iter().take((iterations - done) as usize) {
            let input = Input::Message { from: neighbour, message: Message::Delta(signed.clone()) };
            let start = Instant::now();
            peer.handle(Time(1), input);
            total += start.elapsed();
            while let Some(output) = peer.next_output() {
                if let Output::Compute(protocol::learner::Command::Apply { .. }) = output {
                    peer.handle(Time(1), Input::Computed { result: Computed::Applied, took: protocol::time::Span(1) });
                }
            }
        }
        done += deltas.len() as u64;
    }
    total
}

/// Time that a peer takes to sign, log and push `iterations` deltas of its own.
fn say(context: &Context, taken: &TakenDelta, iterations: u64) -> Duration {
    let mut config = Config::default();
    config.gossip.steps = 1;
    let mut peer = Peer::new(config, *context, Identity::from_seed(&[3; 32]), 1, 7);
    let mut commands = std::collections::VecDeque::new();
    let mut handle = |peer: &mut Peer, now: u64, input: Input| {
        let start = Instant::now();
        peer.handle(Time(now), input);
        let took = start.elapsed();
        while let Some(output) = peer.next_output() {
            if let Output::Compute(command) = output {
                commands.push_back(command);
            }
        }
        (took, commands.pop_front())
    };
    handle(&mut peer, 0, Input::Start);
    handle(&mut peer, 0, Input::Connected { peer: Identity::from_seed(&[2; 32]).peer_id() });
    let (_, mut next) = handle(&mut peer, 10_000_000, Input::Timer(protocol::Timer::JoinGrace));
    let (mut total, mut said, mut now) = (Duration::ZERO, 0, 10_000_000);
    while said < iterations {
        use protocol::learner::{Command, Evaluation, Trained};
        now += 1000;
        let (result, is_delta) = match next.expect("there is always a next step") {
            Command::Train { steps, .. } => (Computed::Trained(Trained { steps, samples: 32, mean_loss: 1.0 }), false),
            Command::TakeDelta { .. } => (Computed::DeltaTaken(taken.clone()), true),
            Command::Evaluate { .. } => {
                let evaluation = Evaluation { loss: 1.0, accuracy: 0.5, samples: 10 };
                (Computed::Evaluated { evaluation, base_hash: Hash::ZERO }, false)
            }
            other => panic!("nobody asked for {other:?}"),
        };
        let (took, command) = handle(&mut peer, now, Input::Computed { result, took: protocol::time::Span(1000) });
        if is_delta {
            said += 1;
            total += took;
        }
        next = command;
    }
    total
}

fn peers(c: &mut Criterion) {
    for codec in codec::ALL {
        let parameters = SIZES[0];
        let context = context(parameters, *codec);
        let (payload, l2_norm) = encoded(*codec, parameters);
        let mut group = c.benchmark_group(format!("peer_{}", codec.name()));
        group.throughput(Throughput::Bytes(payload.len() as u64));
        let mut copy = payload.clone();
        group.bench_function("memcpy_payload", |b| b.iter(|| copy.copy_from_slice(black_box(&payload))));
        let mut previous = Hash::ZERO;
        let deltas: Vec<_> = (1..=64)
            .map(|seq| {
                let delta = signed(&context, payload.clone(), seq, previous, l2_norm);
                previous = delta.hash();
                delta.signed().clone()
            })
            .collect();
        group.bench_function("handle_heard_delta", |b| b.iter_custom(|n| hear(&context, &deltas, n)));
        let taken = TakenDelta { payload: payload.clone(), l2_norm, residual_norm: 1.0, base_norm: 1.0 };
        group.bench_function("handle_own_delta", |b| b.iter_custom(|n| say(&context, &taken, n)));
        group.finish();
    }
}

fn payload_sizes(_: &mut Criterion) {
    println!("\nparameters  codec           payload bytes  f32 / payload  frame bytes  f32 / frame");
    for parameters in SIZES {
        for &codec in codec::ALL {
            let (payload, l2_norm) = encoded(codec, parameters);
            let bytes = payload.len();
            let delta = signed(&context(parameters, codec), payload, 1, Hash::ZERO, l2_norm);
            let mut frame = Vec::new();
            wire::encode_frame(&Message::Delta(delta.signed().clone()), &mut frame).expect("fits a frame");
            let dense = 4.0 * parameters as f64;
            let (per_payload, per_frame) = (dense / bytes as f64, dense / frame.len() as f64);
            let name = codec.name();
            println!(
                "{parameters:>10}  {name:<14}  {bytes:>13}  {per_payload:>13.1}  {:>11}  {per_frame:>11.1}",
                frame.len()
            );
        }
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2)).sample_size(20);
    targets = codecs, wires, peers, payload_sizes
}
criterion_main!(benches);
