#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use protocol::codec;
use shaders::optim;
use shaders::optim::schedule::{self, ByPeers, Curve};

use super::super::optimizer::FLOOR_DEFAULT;
use super::*;

fn job(text: &str) -> Result<Job, Error> {
    Job::new(RawJob::parse(text, "test").unwrap())
}

const KEY_A: &str = "00000000000000000000000000000000000000000000000000000000000000aa";
const KEY_B: &str = "00000000000000000000000000000000000000000000000000000000000000bb";

/// `partner = "fixed"` along these edges.
fn graph(edges: &[[u8; 2]]) -> String {
    let id = |i: u8| format!("{i:02x}").repeat(32);
    let edges: Vec<_> = edges.iter().map(|&[a, b]| format!("[\"{}\", \"{}\"]", id(a), id(b))).collect();
    format!("[gossip]\npartner = \"fixed\"\npartner_graph = [{}]", edges.join(", "))
}

#[test]
fn every_rule_has_its_name_in_a_job() {
    for rule in partner::ALL.iter().filter(|rule| rule.rule() != PartnerRule::Fixed) {
        let found = job(&format!("[gossip]\npartner = \"{}\"", rule.name())).unwrap().partner;
        assert_eq!(found, rule.rule());
    }
    for codec in codec::ALL {
        let found = job(&format!("[gossip]\ncodec = \"{}\"", codec.name())).unwrap();
        assert_eq!((found.codec.wire_id(), found.gain), (codec.wire_id(), codec.gain_default()));
    }
    for rule in trigger::ALL {
        let found = job(&format!("[gossip]\ntrigger = \"{}\"", rule.name())).unwrap().trigger;
        assert_eq!(found, rule.rule());
    }
    for &distance in Distance::ALL {
        let found = job(&format!("[gossip]\npartner_distance = \"{}\"", distance.name())).unwrap().partner_distance;
        assert_eq!(found, distance);
    }
    for (name, _) in optim::ALL {
        let found = job(&format!("[optimizer]\nkind = \"{name}\"")).unwrap().optimizer;
        assert_eq!(found.name(), *name);
    }
    let error = RawJob::parse("[gossip]\npartner = \"unifrom\"", "test").unwrap_err();
    assert_eq!(error.hint.as_deref(), Some("did you mean `uniform`?"));
    let template = super::super::template("demo", None);
    for name in partner::ALL
        .iter()
        .map(|rule| rule.name())
        .chain(["drift", "plateau", "adaptive", "round_trip"])
        .chain(codec::ALL.iter().map(|codec| codec.name()))
        .chain(optim::ALL.iter().map(|(name, _)| *name))
    {
        assert!(template.contains(&format!("#   {name} ")), "{name} is not explained");
    }
}

#[test]
fn every_model_has_its_name_in_a_job_and_takes_its_own_keys_only() {
    for (kind, _) in shaders::models::ALL {
        let found = job(&format!("[model]\nkind = \"{kind}\"")).unwrap();
        assert!(found.canonical().contains(&format!("model.kind={kind}\n")));
        assert!(super::super::template("demo", None).contains(&format!("#   {kind} ")), "{kind} is not explained");
    }
    let error = job("[model]\nchannels = [8]").unwrap_err();
    assert!(error.message.contains("model.channels belongs to kind = \"cnn\""), "{error}");
    // A network of another kind does not inherit the hidden layers below it.
    let ModelSpec::Cnn(cnn) = job("[model]\nkind = \"cnn\"").unwrap().model else { panic!("no cnn") };
    assert_eq!((cnn.hidden, cnn.residual_blocks), (vec![], 0));
}

#[test]
fn every_optimizer_has_its_name_in_a_job_and_takes_its_own_keys_only() {
    for (kind, _) in optim::ALL {
        let found = job(&format!("[optimizer]\nkind = \"{kind}\"")).unwrap();
        assert_eq!(found.optimizer.name(), *kind);
        assert!(super::super::template("demo", None).contains(&format!("#   {kind} ")), "{kind} is not explained");
    }
    for text in ["kind = \"adam\"\nweight_decay = 0.1", "kind = \"adamw\"\nmomentum = 0.1", "weight_decay = 0.1"] {
        let error = job(&format!("[optimizer]\n{text}")).unwrap_err();
        assert!(error.message.contains("belongs to"), "{error}");
    }
}

#[test]
fn a_schedule_is_what_the_job_says() {
    let found = |text: &str| job(&format!("[optimizer]\n{text}")).unwrap().schedule;
    assert_eq!(found(""), Schedule::default());
    assert_eq!(found("schedule = \"constant\"\nwarm_up_samples = 0"), Schedule::default());
    assert_eq!(job("").unwrap().run_id(), job("[optimizer]\nschedule = \"constant\"").unwrap().run_id());
    let cosine = found("schedule = \"cosine\"\ntotal_samples = 5000\nwarm_up_samples = 100");
    let curve = Curve::Cosine { total_samples: 5000, floor: FLOOR_DEFAULT };
    assert_eq!(cosine, Schedule { warm_up_samples: 100, curve, ..Schedule::default() });
    for (name, _) in schedule::ALL {
        let known = match job(&format!("[optimizer]\nschedule = \"{name}\"")) {
            Ok(job) => job.schedule.curve.name() == *name,
            Err(error) => !error.message.contains("no such"),
        };
        assert!(known, "{name}");
        assert!(super::super::template("demo", None).contains(&format!("#   {name} ")), "{name} is not explained");
    }
    assert_eq!(found("rate_by_peers = \"sqrt\"").by_peers, ByPeers::SquareRoot);
    let error = job("[optimizer]\nrate_by_peers = \"cubic\"").unwrap_err();
    assert!(error.to_string().contains("optimizer.rate_by_peers"), "{error}");
    for (name, _) in schedule::BY_PEERS {
        assert!(super::super::template("demo", None).contains(&format!("#   {name} ")), "{name} is not explained");
    }
    // Another schedule does not inherit the length of the one below.
    let below = RawJob::parse("[optimizer]\nschedule = \"cosine\"\ntotal_samples = 5000", "a").unwrap();
    let above = RawJob::parse("[optimizer]\nschedule = \"constant\"", "b").unwrap();
    assert_eq!(Job::new(above.over(below)).unwrap().schedule, Schedule::default());
}

#[test]
fn a_graph_is_the_same_however_it_is_written_and_each_peer_has_its_row() {
    let written = job(&graph(&[[2, 1], [3, 2], [1, 2]])).unwrap();
    assert_eq!(written.run_id(), job(&graph(&[[1, 2], [2, 3]])).unwrap().run_id());
    let rows: Vec<_> = (1..5).map(|i| written.partners_of(PeerId([i; 32]))).collect();
    let row = |ids: &[u8]| ids.iter().map(|&i| PeerId([i; 32])).collect::<Vec<_>>();
    assert_eq!(rows, [row(&[2]), row(&[1, 3]), row(&[2]), row(&[])]);
}

#[test]
fn the_demo_job_is_complete_open_and_endless() {
    let demo = job("").unwrap();
    assert_eq!(demo.key, None);
    assert_eq!(demo.epochs, None);
    assert_eq!(demo.model, ModelSpec::Mlp { hidden: vec![64, 64] });
}

#[test]
fn formatting_and_spelled_out_defaults_do_not_change_the_run() {
    let plain = job("").unwrap();
    let spelled = job("# a comment\n[optimizer]\n  kind='sgd'\n[model]\nhidden = [ 64,\n 64 ]\n").unwrap();
    assert_eq!(plain.run_id(), spelled.run_id());
    let a = job("[optimizer]\nlearning_rate = 0.1").unwrap();
    let b = job("[optimizer]\nlearning_rate = 1e-1").unwrap();
    assert_eq!(a.run_id(), b.run_id());
}

#[test]
fn every_shared_value_changes_the_run() {
    let texts = [
        "",
        "[swarm]\nname = \"other\"",
        "[model]\nhidden = [64, 65]",
        "[model]\nhidden = [6464]",
        "[model]\nkind = \"cnn\"",
        "[model]\nkind = \"cnn\"\nhidden = [64]",
        "[model]\nkind = \"cnn\"\nchannels = [16]",
        "[model]\nkind = \"cnn\"\nresidual_blocks = 1",
        "[data]\nsplit = \"dirichlet:0.1\"",
        "[data]\nshards = 5",
        "[data]\nbatch = 17",
        "[data]\npath = \"x\"",
        "[optimizer]\nkind = \"adam\"",
        "[optimizer]\nkind = \"adam_common\"",
        "[optimizer]\nkind = \"sgd\"\nmomentum = 0.5",
        "[optimizer]\nkind = \"sgd\"\nnesterov = true",
        "[optimizer]\nkind = \"adamw\"",
        "[optimizer]\nkind = \"adamw\"\nweight_decay = 0.02",
        "[optimizer]\nclip = 1.0",
        "[model]\nloss = \"mean_squared_error\"",
        "[model]\nkind = \"lm\"",
        "[model]\nkind = \"lm\"\nlayers = 1",
        "[model]\nkind = \"lm\"\nnorm = \"layer\"",
        "[model]\nkind = \"lm\"\ndropout = 0.5",
        "[optimizer]\nlearning_rate = 0.004",
        "[optimizer]\nwarm_up_samples = 100",
        "[optimizer]\nschedule = \"cosine\"\ntotal_samples = 1000",
        "[optimizer]\nschedule = \"cosine\"\ntotal_samples = 1001",
        "[optimizer]\nschedule = \"cosine\"\ntotal_samples = 1000\nfloor = 0",
        "[gossip]\ncodec = \"dense_f32\"",
        "[gossip]\ngain = 3.5",
        "[gossip]\nsteps = 6",
        "[gossip]\npartner = \"ring\"",
        "[gossip]\npartner = \"one_peer_exponential\"",
        "[gossip]\npartner_alpha = 2.0",
        "[gossip]\npartner_distance = \"round_trip\"",
        &graph(&[[1, 2]]),
        &graph(&[[1, 2], [2, 3]]),
        "[gossip]\ntrigger = \"drift\"",
        "[gossip]\ntrigger = \"plateau\"",
        "[gossip]\ntrigger_drift = 0.02",
        "[gossip]\ntrigger_plateau = 0.02",
        "[training]\nseed = 9",
        &format!("[swarm]\nkey = \"{KEY_A}\""),
        &format!("[swarm]\nkey = \"{KEY_B}\""),
    ];
    let runs: Vec<_> = texts.iter().map(|text| job(text).unwrap().run_id()).collect();
    for (i, a) in runs.iter().enumerate() {
        for (j, b) in runs.iter().enumerate() {
            assert_eq!(a == b, i == j, "{:?} and {:?}", texts[i], texts[j]);
        }
    }
}

#[test]
fn what_is_local_does_not_change_the_run() {
    let run = |text| job(text).unwrap().run_id();
    assert_eq!(run(""), run("[training]\nepochs = 3"));
    assert_eq!(run(""), run("[training]\nrecompute = true"));
    assert_eq!(run(""), run("[training]\nprecision = \"f16\""));
    assert_eq!(run(""), run("[gossip]\nlink_bytes_per_second = 1e6"));
    assert_eq!(run("[data]\npath = \"/a\""), run("[data]\npath = \"/b\""));
}

#[test]
fn the_key_does_not_change_the_initial_weights() {
    let with = |key| job(&format!("[swarm]\nkey = \"{key}\"")).unwrap();
    assert_eq!(with(KEY_A).init_seed(), with(KEY_B).init_seed());
    assert_ne!(job("").unwrap().init_seed(), job("[training]\nseed = 9").unwrap().init_seed());
}

#[test]
fn values_out_of_range_are_named_with_their_limit() {
    for (text, named) in [
        ("[optimizer]\nlearning_rate = 0", "--lr"),
        ("[optimizer]\nlearning_rate = -1", "--lr"),
        ("[optimizer]\nlearning_rate = nan", "--lr"),
        ("[optimizer]\nlearning_rate = inf", "--lr"),
        ("[optimizer]\nkind = \"adam\"\nmomentum = 0.9", "optimizer.momentum"),
        ("[optimizer]\nkind = \"adam_common\"\nmomentum = 0.9", "belongs to sgd"),
        ("[optimizer]\nkind = \"sgd\"\nmomentum = 1.0", "optimizer.momentum"),
        ("[optimizer]\nkind = \"lion\"", "`sgd`, `adam`, `adam_common`, `adamw`"),
        ("[optimizer]\nschedule = \"linear\"", "`constant` or `cosine`"),
        ("[optimizer]\nschedule = \"cosine\"", "total_samples = N"),
        ("[optimizer]\nschedule = \"cosine\"\ntotal_samples = 0", "above warm_up_samples (0)"),
        ("[optimizer]\nschedule = \"cosine\"\ntotal_samples = 9\nwarm_up_samples = 9", "above warm_up_samples (9)"),
        ("[optimizer]\nschedule = \"cosine\"\ntotal_samples = 9007199254740993", "at most 9007199254740992"),
        ("[optimizer]\nwarm_up_samples = 9007199254740993", "at most 9007199254740992"),
        ("[optimizer]\nschedule = \"cosine\"\ntotal_samples = 9\nfloor = 1.5", "from 0 to 1"),
        ("[optimizer]\nschedule = \"cosine\"\ntotal_samples = 9\nfloor = nan", "optimizer.floor"),
        ("[optimizer]\ntotal_samples = 9", "belongs to a schedule that ends"),
        ("[optimizer]\nschedule = \"constant\"\nfloor = 0.1", "optimizer.floor"),
        ("[model]\nhidden = [0]", "from 1 to 8192"),
        ("[model]\nhidden = [1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]", "at most 16"),
        ("[model]\nkind = \"rnn\"", "no such model"),
        ("[data]\nset = \"mnist\"", "no such set"),
        ("[data]\nset = \"digits\"\npath = \"x\"", "both"),
        ("[data]\nsplit = \"dirichlet:0\"", "data.split"),
        ("[data]\nsplit = \"dirichlet:NaN\"", "data.split"),
        ("[data]\nbatch = 0", "from 1 to 65536"),
        ("[data]\nshards = 0", "from 1 to 256"),
        ("[gossip]\ngain = 17.0", "at most 16"),
        ("[gossip]\ncodec = \"zip\"", "no such codec"),
        ("[gossip]\nsteps = 0", "from 1 to 100000"),
        ("[gossip]\npartner = \"fixed\"", "who meets whom"),
        (&graph(&[[1, 1]]), "paired with itself"),
        (&graph(&[[1, 2]]).replace("fixed", "ring"), "belongs to"),
        ("[gossip]\npartner_alpha = 0", "gossip.partner_alpha"),
        ("[gossip]\npartner_alpha = inf", "gossip.partner_alpha"),
        ("[gossip]\ntrigger_drift = -0.1", "gossip.trigger_drift"),
        ("[gossip]\ntrigger_drift = 1.5", "at most 1"),
        ("[gossip]\ntrigger_plateau = nan", "gossip.trigger_plateau"),
        ("[gossip]\nlink_bytes_per_second = 0", "gossip.link_bytes_per_second"),
        ("[training]\nepochs = 0", "training.epochs"),
        ("[swarm]\nname = \"a\\nb\"", "swarm.name"),
        ("[swarm]\nkey = \"abc\"", "64 hex"),
        ("[swarm]\nkey = \"0000000000000000000000000000000000000000000000000000000000000000\"", "all zero"),
    ] {
        let error = job(text).unwrap_err();
        assert_eq!(error.kind, Kind::Input, "{text}");
        assert!(error.to_string().contains(named), "{text}: {error}");
    }
}

#[test]
fn a_bad_key_is_not_repeated() {
    let error = job("[swarm]\nkey = \"deadbeef\"").unwrap_err();
    assert!(!error.to_string().contains("deadbeef"));
}

#[test]
fn a_bad_flag_is_a_usage_error_and_a_bad_file_is_not() {
    let bad = RawJob::parse("[data]\nbatch = 0", "test").unwrap();
    assert_eq!(Job::layered(bad.clone(), RawJob::default()).unwrap_err().kind, Kind::Usage);
    assert_eq!(Job::layered(RawJob::default(), bad).unwrap_err().kind, Kind::Input);
}

#[test]
fn an_epoch_has_at_least_one_step() {
    let job = job("[data]\nshards = 4\nbatch = 16").unwrap();
    assert_eq!(job.steps_per_epoch(1438), 22);
    assert_eq!(job.steps_per_epoch(10), 1);
}

#[test]
fn the_template_is_a_job_and_the_demo_but_for_its_key() {
    let text = super::super::template("demo", Some([7; 32]));
    let written = job(&text).unwrap();
    assert_eq!(written.key, Some([7; 32]));
    assert_eq!(written.canonical(), job("").unwrap().canonical());
    assert_eq!(job(&super::super::template("demo", None)).unwrap().run_id(), job("").unwrap().run_id());
}

#[test]
fn the_template_names_the_files_that_the_loader_opens() {
    let text = super::super::template("demo", None);
    let folder = tempfile::tempdir().unwrap();
    // A file is looked for when those before it are there; whatever is missing is named by the error.
    let split_of = ["train", "t10k"];
    let kinds = ["images-idx3-ubyte", "labels-idx1-ubyte"];
    for name in split_of.iter().flat_map(|split| kinds.map(|kind| format!("{split}-{kind}"))) {
        assert!(text.contains(&name), "{name}");
        let error = shaders::data::open_folder(folder.path()).unwrap_err().to_string();
        assert!(error.contains(&name), "the loader asks for another file: {error}");
        std::fs::write(folder.path().join(name), "").unwrap();
    }
}

#[test]
fn groups_are_part_of_the_run_and_one_group_is_none() {
    let run = |text: &str| job(&format!("[gossip]\n{text}")).unwrap().run_id();
    assert_eq!(run("groups = 1"), run(""));
    assert_ne!(run("groups = 2"), run("groups = 3"));
}

#[test]
fn a_pairwise_job_has_its_own_defaults_and_refuses_what_it_cannot_do() {
    let pairwise = job("[gossip]\nmode = \"pairwise\"").unwrap();
    assert_eq!((pairwise.codec.name(), pairwise.merge), ("sign", MergeRule::Average));
    assert!(pairwise.gain <= 0.5 && pairwise.trust_probation == 0);
    let run = |text: &str| job(&format!("[gossip]\nmode = \"pairwise\"\n{text}")).unwrap().run_id();
    assert_ne!(run("merge = \"clipped\""), run(""));
    assert_eq!(run("merge = \"average\""), run(""));
    for rule in protocol::merge::ALL {
        let found = job(&format!("[gossip]\nmode = \"pairwise\"\nmerge = \"{}\"", rule.name())).unwrap();
        assert_eq!(protocol::merge::of(found.merge).name(), rule.name());
    }
    for (text, named) in [
        ("[gossip]\nmerge = \"clipped\"", "belongs to mode = \"pairwise\""),
        ("[gossip]\nmode = \"pairwise\"\ngroups = 2", "belongs to mode = \"incremental\""),
        ("[gossip]\ngroups = 0", "from 1 to 1024"),
        ("[gossip]\ngroups = 2\n[optimizer]\nwarm_up_samples = 9", "those of its own group"),
        ("[gossip]\ngroups = 2\n[optimizer]\nrate_by_peers = \"sqrt\"", "those of its own group"),
        ("[gossip]\nmode = \"pairwise\"\ngain = 1.5", "at most 1"),
        ("[gossip]\nmode = \"pairwise\"\n[optimizer]\nwarm_up_samples = 9", "nobody counts"),
        ("[gossip]\nmode = \"pairwise\"\n[optimizer]\nschedule = \"cosine\"\ntotal_samples = 9", "nobody counts"),
    ] {
        let error = job(text).unwrap_err();
        assert!(error.to_string().contains(named), "{text}: {error}");
    }
}

/// Peers of two releases meet only while a job has the same name in both: a change here splits every run that there is.
#[test]
fn jobs_keep_their_runs() {
    let fixed = graph(&[[1, 2], [2, 3]]);
    for (text, run) in [
        ("", "cbb51a5aaf8eafe19112038ac95733a0f08f36235f318a8b821728cdb7993ea3"),
        (
            "[model]\nkind = \"cnn\"\nchannels = [4, 8]\nresidual_blocks = 1\nhidden = [9]",
            "511b9c1a4b752799d311ad125a0a270a9918ef74788dc17c537e0eeda2428844",
        ),
        (
            "[model]\nkind = \"lm\"\nnorm = \"layer\"\nactivation = \"silu\"\ndropout = 0.1",
            "891793214e62143ad4501aa61b2302b34faad36dc2c597e0a51dd2088640083f",
        ),
        (
            "[model]\nloss = \"mean_squared_error\"\n[data]\nsplit = \"dirichlet:0.1\"\nbatch = 32",
            "82b4d7516bf9695ed701b1062b352585271d47b059e6391c0aa418c5fb6b431b",
        ),
        (
            "[optimizer]\nkind = \"sgd\"\nmomentum = 0.8\nnesterov = true\nclip = 0.5\nwarm_up_samples = 500",
            "864c62e3462a9add9ea4cd099255f0b3fc20b4fabfe1f2e5f0cac2fc11b5a9a8",
        ),
        (
            "[optimizer]\nkind = \"adamw\"\nweight_decay = 0.3\nschedule = \"cosine\"\ntotal_samples = 9000",
            "2ca96486cce7ff08f15431dc9ca795a2e9ded03f804c89d2db20437f07f11947",
        ),
        (
            "[optimizer]\nkind = \"adam_common\"\n[gossip]\ngroups = 8\ntrigger = \"adaptive\"",
            "c1d76f1290371584ea240d76e7e8d8f6e110fc580a99be38016c28b1176d1bbd",
        ),
        (
            "[gossip]\nmode = \"full_sync\"\nround_deadline_s = 2.5\n[trust]\nenabled = false\nprobation = 3",
            "1e93ea58def750c0ec45e50d7a559beeb43f82d8a0f1f7de84320353eda32f5f",
        ),
        (
            "[gossip]\nmode = \"pairwise\"\nmerge = \"clipped\"\n[training]\nseed = 9",
            "ba31c346cb1294994dd3c4a5a0a38b12270b1e57772f4aa2d183dcaed92d5ed0",
        ),
        (&fixed, "0581408e6e9fbe4be28b869feeb7a175006c4deb687b9ca2f41c95c2e69d0c6d"),
    ] {
        assert_eq!(job(text).unwrap().run_id().0.to_string(), run, "{text}");
    }
}

#[test]
fn a_file_of_regions_is_of_the_run_by_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        let raw = RawJob::parse(&format!("[data]\nsplit = \"regions:{}\"", path.display()), "a").unwrap();
        let job = Job::new(raw).unwrap();
        assert_eq!(job.split.to_string(), format!("regions:{}", path.display()), "as a job file has it");
        job.run_id()
    };
    let here = run("here.txt", "north\nsouth\n");
    assert_eq!(here, run("elsewhere.txt", "north\nsouth\n"));
    assert_ne!(here, run("here.txt", "south\nnorth\n"));
}
