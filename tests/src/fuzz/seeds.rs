//! First inputs, made of what honest peers and files say.

use protocol::codec;
use protocol::id::{Hash, SchemaHash};
use protocol::time::Span;
use protocol::wire::{Greeting, LENGTH_BYTES, Message, Refusal, encode_frame};

use super::peers::{Living, PARAMETERS, context, id, put, put_pause};

/// The body of a frame.
fn body(message: &Message) -> Vec<u8> {
    let mut frame = Vec::new();
    encode_frame(message, &mut frame).expect("it fits");
    frame.split_off(LENGTH_BYTES)
}

/// What a newcomer hears of a peer that has trained for a while, as messages in their order. With a short log it is a snapshot.
fn conversation(log_bytes_max: usize) -> Vec<Message> {
    let (mut old, mut new) = (Living::new(2, log_bytes_max), Living::new(4, log_bytes_max));
    for _ in 0..40 {
        old.wait(Span::from_millis(100));
    }
    new.now = old.now;
    old.take_said();
    let ends = [id(2), id(4)];
    old.hear(protocol::Input::Connected { peer: ends[1] });
    new.hear(protocol::Input::Connected { peer: ends[0] });
    let mut heard = Vec::new();
    for _ in 0..60 {
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
        "snapshot" => vec![as_input(&short(conversation(4 << 10)))],
        "peer" => vec![as_input(&short(conversation(1 << 20)))],
        "job" => jobs(),
        "idx" => files(),
        other => panic!("{other} has no seeds"),
    }
}

fn short(mut messages: Vec<Message>) -> Vec<Message> {
    messages.truncate(60);
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
        Message::SnapshotPart { base_hash: Hash::ZERO, offset: 0, bytes: vec![1; 64] },
        Message::SnapshotWant { base_hash: Hash::ZERO, offset: 1 << 18 },
        Message::SnapshotChecked { base_hash: Hash::ZERO, same: Some(true) },
        Message::Bye,
        Message::ExchangeAsk,
    ];
    let (long, short) = (conversation(1 << 20), conversation(4 << 10));
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
    let text = format!("peer={hash}\nrun={hash}\nschema={hash}\nwire=4\njob=flock\nopen=1\ntcp4=4001\nquic6=4002");
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
