//! First inputs, made of what honest peers and files say.

use node::store::checkpoint::{About, CONFIG, Course, Folder, MANIFEST, MODEL, STATE, Worth};
use protocol::codec;
use protocol::fixed::from_f32;
use protocol::id::{Hash, Origin, SchemaHash};
use protocol::learner::Saved;
use protocol::log::Head;
use protocol::time::Span;
use protocol::wire::{Greeting, LENGTH_BYTES, Message, Refusal, VERSION, encode_frame};
use protocol::{Checkpoint, Standing};
use shaders::models::ModelSpec;

use super::peers::{Living, PARAMETERS, SHORT_LOG_BYTES, context, id, put, put_pause};

/// The body of a frame.
fn body(message: &Message) -> Vec<u8> {
    let mut frame = Vec::new();
    encode_frame(message, &mut frame).expect("it fits");
    frame.split_off(LENGTH_BYTES)
}

/// Deltas of a peer that has trained for a while: a short log does not hold as many.
const SAID_MIN: u64 = 60;
/// Messages of a conversation, and a few more.
const MESSAGES_MAX: usize = 60;
/// Tenths of a second in which it says them.
const WAITS_MAX: usize = 10_000;

/// What a newcomer hears of a peer that has trained for a while, as messages in their order. With a short log it is a snapshot.
fn conversation(log_bytes_max: usize) -> Vec<Message> {
    let (mut old, mut new) = (Living::new(2, log_bytes_max), Living::new(4, log_bytes_max));
    for _ in 0..WAITS_MAX {
        if old.peer.view().deltas_said >= SAID_MIN {
            break;
        }
        old.wait(Span::from_millis(100));
    }
    assert!(old.peer.view().deltas_said >= SAID_MIN, "it trains: {:?}", old.peer.view());
    old.take_said();
    let ends = [id(2), id(4)];
    old.hear(protocol::Input::Connected { peer: ends[1] });
    new.hear(protocol::Input::Connected { peer: ends[0] });
    let mut heard = Vec::new();
    // Whoever hears something trains a little, and says something: two who train never come to an end.
    while heard.len() < MESSAGES_MAX {
        for (_, message) in old.take_said() {
            heard.push(message.clone());
            new.hear(protocol::Input::Message { from: ends[0], message });
        }
        for (_, message) in new.take_said() {
            old.hear(protocol::Input::Message { from: ends[1], message });
        }
        old.wait(Span::from_millis(50));
        new.wait(Span::from_millis(50));
    }
    heard
}

/// One of each kind, the first and a later one.
fn kinds(messages: &[Message]) -> Vec<&Message> {
    let mut kinds: Vec<&Message> = Vec::new();
    for message in messages {
        let same = |other: &&&Message| std::mem::discriminant::<Message>(other) == std::mem::discriminant(message);
        if kinds.iter().filter(same).count() < 2 {
            kinds.push(message);
        }
    }
    kinds
}

fn as_input(messages: &[Message]) -> Vec<u8> {
    let mut input = Vec::new();
    for (i, message) in messages.iter().enumerate() {
        put(0, &body(message), &mut input);
        if i % 4 == 3 {
            put_pause(100, &mut input);
        }
    }
    input
}

/// The first inputs of the target of that name.
///
/// # Panics
/// When there is no such target.
#[must_use]
pub fn of(name: &str) -> Vec<Vec<u8>> {
    match name {
        "frame" => frames(),
        "announcement" => announcements(),
        "delta" => deltas(),
        "snapshot" => vec![snapshot()],
        "peer" => vec![as_input(&short(conversation(1 << 20)))],
        "job" => jobs(),
        "idx" => files(),
        "data" => tables(),
        "checkpoint" => checkpoint(),
        other => panic!("{other} has no seeds"),
    }
}

/// A snapshot, and the word of the other neighbour that it is right: then it is taken.
fn snapshot() -> Vec<u8> {
    let messages = short(conversation(SHORT_LOG_BYTES));
    let mut parts = messages.iter().filter_map(|message| match message {
        Message::SnapshotPart { base_hash, .. } => Some(*base_hash),
        _ => None,
    });
    let base_hash = parts.next_back().expect("a snapshot was given");
    let mut input = as_input(&messages);
    put(1, &body(&Message::SnapshotChecked { base_hash, same: Some(true) }), &mut input);
    put_pause(100, &mut input);
    input
}

fn short(mut messages: Vec<Message>) -> Vec<Message> {
    messages.truncate(MESSAGES_MAX);
    messages
}

fn frames() -> Vec<Vec<u8>> {
    let greeting = |greeting: &Greeting| {
        let mut frame = Vec::new();
        encode_frame(greeting, &mut frame).expect("it fits");
        frame.split_off(LENGTH_BYTES)
    };
    let run = context().run;
    let greetings = [
        Greeting::Hello { run, schema: SchemaHash(Hash([7; 32])), nonce: [1; 32] },
        Greeting::Proof([2; 32]),
        Greeting::Welcome,
        Greeting::Refuse(Refusal::Full(64)),
    ];
    let more = [
        Message::SnapshotPart { base_hash: Hash::ZERO, offset: 0, bytes: vec![1; 64].into() },
        Message::SnapshotWant { base_hash: Hash::ZERO, offset: 1 << 18 },
        Message::SnapshotChecked { base_hash: Hash::ZERO, same: Some(true) },
        Message::Bye,
        Message::ExchangeAsk,
    ];
    let (long, short) = (conversation(1 << 20), conversation(SHORT_LOG_BYTES));
    let spoken = kinds(&long).into_iter().chain(kinds(&short)).chain(&more).map(body);
    greetings.iter().map(greeting).chain(spoken).collect()
}

fn deltas() -> Vec<Vec<u8>> {
    let residual: Vec<f32> = (0..PARAMETERS).map(|i| (i as f32 - 150.0) / 300.0).collect();
    let payloads = codec::ALL.iter().enumerate().map(|(i, codec)| {
        let mut input = vec![i as u8, 0, 0x10];
        codec.encode(&residual, &mut input);
        input
    });
    let said = conversation(1 << 20);
    let signed = said.iter().filter(|message| matches!(message, Message::Delta(_))).take(2).map(body);
    payloads.chain(signed).collect()
}

fn announcements() -> Vec<Vec<u8>> {
    let hash = "0f".repeat(32);
    let text =
        format!("peer={hash}\nrun={hash}\nschema={hash}\nwire={VERSION}\njob=flock\nopen=1\ntcp4=4001\nquic6=4002");
    vec![text.clone().into_bytes(), text.replace("4001", "0").into_bytes(), b"peer=\xff\xfe\nrun=".to_vec()]
}

fn jobs() -> Vec<Vec<u8>> {
    let of = |text: &str| text.as_bytes().to_vec();
    vec![
        of("[swarm]\nname = \"flock\"\nkey = \"0000000000000000000000000000000000000000000000000000000000000001\"\n"),
        of(
            "[model]\nhidden = [32, 16]\n[optimizer]\nkind = \"adam\"\nlearning_rate = 0.01\n[data]\nset = \"digits\"\nbatch = 16\nshards = 4\n",
        ),
        of("[model]\nkind = \"lm\"\nwidth = 64\nheads = 4\nlayers = 2\ncontext = 32\n[data]\npath = \"text.txt\"\n"),
        of(
            "[model]\nkind = \"cnn\"\nchannels = [8, 16]\nresidual_blocks = 1\n[gossip]\nmode = \"pairwise\"\nmerge = \"clipped\"\n",
        ),
        of(
            "[gossip]\nmode = \"full_sync\"\nround_deadline_s = 3.5\nsteps = 1\ncodec = \"dense_f32\"\ngain = 1\n[training]\nepochs = 3\nseed = 7\n",
        ),
        of("[trust]\nprobation = 16\nallow = [\"0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e0e\"]\n"),
    ]
}

fn files() -> Vec<Vec<u8>> {
    let images = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 2][..], &[7; 8]].concat();
    let labels = vec![0, 0, 8, 1, 0, 0, 0, 3, 1, 2, 3];
    // `printf '\0\0\10\1\0\0\0\3\1\2\3' | gzip -n`
    let gzipped = vec![
        31, 139, 8, 0, 0, 0, 0, 0, 0, 3, 99, 96, 224, 96, 100, 96, 96, 96, 102, 100, 98, 6, 0, 139, 229, 189, 164, 11,
        0, 0, 0,
    ];
    vec![images, labels, gzipped]
}

/// Tables and an array; an archive of arrays lies in the corpus as a file.
fn tables() -> Vec<Vec<u8>> {
    let of = |text: &str| text.as_bytes().to_vec();
    // The header is filled up so that the numbers begin at a multiple of 64.
    let mut npy = b"\x93NUMPY\x01\x00\x76\x00{'descr': '<f4', 'fortran_order': False, 'shape': (4, 3), }".to_vec();
    npy.resize(127, b' ');
    npy.push(b'\n');
    npy.extend((0..12_u8).flat_map(|i| f32::from(if i % 3 == 2 { i / 6 } else { i }).to_le_bytes()));
    vec![
        of("a,b,label\n1,2.5,0\n3,4,1\n5,6,0\n7,8,1\n"),
        of("size\tcolour\tkind\n1.5\tred\tcat\n2\t\"blue\tgreen\"\tdog\n-3e2\tred\tcat\n4\tred\tdog\n"),
        of("\u{feff}1;2;0\r\n3;4;1\r\n5;6;1\r\n7;8;0\r\n"),
        npy,
    ]
}

/// The files of a small checkpoint, each behind the byte that names it.
fn checkpoint() -> Vec<Vec<u8>> {
    let model = ModelSpec::Mlp { hidden: vec![3] };
    let network = model.build(&[2, 2], 3).expect("a model");
    let d = network.parameters();
    let about =
        About::new("ab".repeat(32), vec!["model.kind=mlp".to_owned()], model, &network, vec![2, 2], "seed".to_owned());
    let theta: Vec<f32> = (0..d).map(|i| (i as f32 - 10.0) / 7.0).collect();
    let base = theta.iter().map(|&value| from_f32(value / 2.0)).collect();
    let own = [("moments.0".to_owned(), vec![3; d]), ("order.next".to_owned(), vec![1, 0])].into();
    let origin = Origin { peer: id(2), incarnation: 1_700_000_000_000 };
    let head = Head { origin, seq: 5, hash: Hash([5; 32]), samples: 640 };
    let standing = Standing {
        origin,
        heads: vec![head],
        steps: 100,
        epochs: 2,
        samples: 640,
        since_delta: 3,
        unsaid_steps: 4,
        unsaid_samples: 128,
        samples_per_step: 32,
    };
    let learner = Saved { base, theta, own };
    let whole = Checkpoint { learner, standing, base_hash: Hash([3; 32]), evaluated: true };
    let dir = tempfile::tempdir().expect("a folder");
    let mut folder = Folder::open(dir.path(), about, 1, None).expect("a folder of checkpoints");
    let worth = Worth { loss: Some(0.5), accuracy: 0.75, samples: 10 };
    let (path, _) = folder.write(&whole, Some(worth), Course::default()).expect("it is written");
    let file = |(which, name): (u8, &str)| {
        let bytes = std::fs::read(path.join(name)).expect("it was written");
        [&[which][..], &bytes].concat()
    };
    (0..).zip([MANIFEST, CONFIG, MODEL, STATE]).map(file).collect()
}
