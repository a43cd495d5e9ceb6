# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_starling_global_optspecs
    string join \n h/help V/version
end

function __fish_starling_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_starling_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_starling_using_subcommand
    set -l cmd (__fish_starling_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c starling -n "__fish_starling_needs_command" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_needs_command" -s V -l version -d 'Print version'
complete -c starling -n "__fish_starling_needs_command" -f -a "run" -d 'One peer: trains, gossips with whom it finds on the LAN, until it is stopped'
complete -c starling -n "__fish_starling_needs_command" -f -a "ls" -d 'The jobs and peers that are heard on this network'
complete -c starling -n "__fish_starling_needs_command" -f -a "join" -d 'Take part in a job that is heard on this network, or that a peer at an address runs'
complete -c starling -n "__fish_starling_needs_command" -f -a "doctor" -d 'Why peers do not meet: this machine, its network, and who is there, each finding with its remedy'
complete -c starling -n "__fish_starling_needs_command" -f -a "sim" -d 'A swarm of real processes on this machine, with a live table and a summary'
complete -c starling -n "__fish_starling_needs_command" -f -a "job" -d 'Write, check or show a job file: what a swarm trains, and its invitation'
complete -c starling -n "__fish_starling_needs_command" -f -a "swarm" -d 'Who may take part in a job: its key, and whom this machine links with'
complete -c starling -n "__fish_starling_needs_command" -f -a "id" -d 'Show or make the identity of a peer'
complete -c starling -n "__fish_starling_needs_command" -f -a "predict" -d 'What a trained model says of samples'
complete -c starling -n "__fish_starling_needs_command" -f -a "generate" -d 'Continue a text with a trained language model'
complete -c starling -n "__fish_starling_needs_command" -f -a "eval" -d 'What a trained model is worth: loss, accuracy, confusion, F1, perplexity'
complete -c starling -n "__fish_starling_needs_command" -f -a "export" -d 'Write a trained model for other tools'
complete -c starling -n "__fish_starling_needs_command" -f -a "audit" -d 'Check or show the log of whom a peer let in and what it took'
complete -c starling -n "__fish_starling_needs_command" -f -a "data" -d 'What a data set holds, and which sets and formats there are'
complete -c starling -n "__fish_starling_needs_command" -f -a "device" -d 'What there is to train on, and what a job would take of it'
complete -c starling -n "__fish_starling_needs_command" -f -a "plot" -d 'Draw curves of runs beside each other, and weights of checkpoints'
complete -c starling -n "__fish_starling_needs_command" -f -a "top" -d 'How running peers stand, live in this terminal'
complete -c starling -n "__fish_starling_needs_command" -f -a "completions" -d 'Print what a shell needs to complete these words'
complete -c starling -n "__fish_starling_needs_command" -f -a "man" -d 'Write a man page for every command'
complete -c starling -n "__fish_starling_needs_command" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c starling -n "__fish_starling_using_subcommand run" -l job -d 'The job file (`starling job init` writes one); without it the public demo job, which wants --open' -r -F
complete -c starling -n "__fish_starling_using_subcommand run" -l listen -d 'Listen here (repeatable) [default: every interface, TCP and QUIC on one free port]' -r
complete -c starling -n "__fish_starling_using_subcommand run" -l peer -d 'Dial this peer (repeatable); others are found by mDNS and through the peers' -r
complete -c starling -n "__fish_starling_using_subcommand run" -l peers -d 'Dial the peers in this file, one address a line, # for comments' -r -F
complete -c starling -n "__fish_starling_using_subcommand run" -l identity -d 'File of the identity key, made when it is not there [default: identity.key in the user\'s data directory]' -r -F
complete -c starling -n "__fish_starling_using_subcommand run" -l audit -d 'Folder of the audit log, or none [default: identity.audit/RUN, beside the identity]' -r -F
complete -c starling -n "__fish_starling_using_subcommand run" -l shard -d 'Train on this shard, numbered from 0, of the job\'s [default: drawn from the identity]' -r
complete -c starling -n "__fish_starling_using_subcommand run" -l epochs -d 'Stop after so many epochs [default: as in the job, else never]' -r
complete -c starling -n "__fish_starling_using_subcommand run" -l dashboard -d 'Serve the dashboard, state, metrics and predictions over HTTP there, or none [default: 127.0.0.1:7878, or a free port when that is taken]. Beyond loopback, and with --dashboard-host, it asks for a token' -r
complete -c starling -n "__fish_starling_using_subcommand run" -l dashboard-token -d 'Ask for the token in this file, made when it is not there [default: identity.token beside the identity, beyond loopback and with --dashboard-host]' -r -F
complete -c starling -n "__fish_starling_using_subcommand run" -l dashboard-host -d 'The dashboard may be called by this name, too (repeatable): that of a proxy in front of it. Who comes by it needs the token' -r
complete -c starling -n "__fish_starling_using_subcommand run" -l checkpoint -d 'Write checkpoints into this folder: DIR/step-N, to predict from, to export, and to --resume' -r -F
complete -c starling -n "__fish_starling_using_subcommand run" -l checkpoint-every -d 'How often: a time as 30s, 5m, 1h, or with the evaluation of every so many epochs as 10epochs [default: 1m]' -r
complete -c starling -n "__fish_starling_using_subcommand run" -l keep -d 'Keep the newest K of them, and the best [default: 3]' -r
complete -c starling -n "__fish_starling_using_subcommand run" -l resume -d 'Go on from the newest whole checkpoint in this folder, and write further ones there' -r -F
complete -c starling -n "__fish_starling_using_subcommand run" -l init -d 'Begin at these weights in place of random ones; part of the run: all its peers must begin alike' -r -F
complete -c starling -n "__fish_starling_using_subcommand run" -l metrics -d 'Add a row for every evaluation to this file' -r -F
complete -c starling -n "__fish_starling_using_subcommand run" -l tensorboard -d 'Write the same for TensorBoard into this folder' -r -F
complete -c starling -n "__fish_starling_using_subcommand run" -l device -d 'Train on this device: auto (the best GPU, else the CPU), cpu, or a part of its name; NAME#2 is the second of that name' -r
complete -c starling -n "__fish_starling_using_subcommand run" -l threads -d 'Threads that compute on the CPU: of a peer, or of `sim` of every process, or of `sim --virtual` seeds at a time [default: the cores of this machine, shared out to its processes]' -r
complete -c starling -n "__fish_starling_using_subcommand run" -l data -d 'Data of your own instead of the job\'s set: a file or folder (`starling data ls` lists the formats)' -r -F
complete -c starling -n "__fish_starling_using_subcommand run" -l label -d 'The column of a table with the label, by its name or number from 0 [default: one named label or class, else the last]' -r
complete -c starling -n "__fish_starling_using_subcommand run" -l json -d 'Write the summary as JSON at the end; - is standard output, and people then read standard error' -r -F
complete -c starling -n "__fish_starling_using_subcommand run" -l log -d 'What to log on standard error: error, warn, info, debug, trace, or a filter as node=debug,libp2p=info' -r
complete -c starling -n "__fish_starling_using_subcommand run" -l log-format -d 'How to log' -r -f -a "text\t'For people'
json\t'One object a line'"
complete -c starling -n "__fish_starling_using_subcommand run" -l open -d 'Agree to train with everyone: the job has no key'
complete -c starling -n "__fish_starling_using_subcommand run" -l no-mdns -d 'Neither announce this peer on the LAN nor look for others there'
complete -c starling -n "__fish_starling_using_subcommand run" -l no-relay -d 'Neither take links that another peer relays, nor relay for others'
complete -c starling -n "__fish_starling_using_subcommand run" -l no-upnp -d 'Do not ask the router to open a port (UPnP)'
complete -c starling -n "__fish_starling_using_subcommand run" -l no-gossip -d 'Train alone, without a socket'
complete -c starling -n "__fish_starling_using_subcommand run" -l overfit-one-batch -d 'Smoke test: train alone on one batch for 200 steps [or --epochs of 50]; exit code 3 unless it was learnt by heart'
complete -c starling -n "__fish_starling_using_subcommand run" -s q -l quiet -d 'Neither a bar nor a line of an epoch or a neighbour: the summary, warnings and errors stay'
complete -c starling -n "__fish_starling_using_subcommand run" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c starling -n "__fish_starling_using_subcommand ls" -l wait -d 'How long to listen for answers' -r
complete -c starling -n "__fish_starling_using_subcommand ls" -l json -d 'Write what was heard as JSON; - is standard output' -r -F
complete -c starling -n "__fish_starling_using_subcommand ls" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand join" -l save -d 'Where to keep the job file [default: the job\'s name with .toml, here]' -r -F
complete -c starling -n "__fish_starling_using_subcommand join" -l code -d 'The code of `starling swarm pair`, for a private job [default: asked for at the terminal]' -r
complete -c starling -n "__fish_starling_using_subcommand join" -l wait -d 'How long to look for it on the network' -r
complete -c starling -n "__fish_starling_using_subcommand join" -l job -d 'The job file (`starling job init` writes one); without it the public demo job, which wants --open' -r -F
complete -c starling -n "__fish_starling_using_subcommand join" -l listen -d 'Listen here (repeatable) [default: every interface, TCP and QUIC on one free port]' -r
complete -c starling -n "__fish_starling_using_subcommand join" -l peer -d 'Dial this peer (repeatable); others are found by mDNS and through the peers' -r
complete -c starling -n "__fish_starling_using_subcommand join" -l peers -d 'Dial the peers in this file, one address a line, # for comments' -r -F
complete -c starling -n "__fish_starling_using_subcommand join" -l identity -d 'File of the identity key, made when it is not there [default: identity.key in the user\'s data directory]' -r -F
complete -c starling -n "__fish_starling_using_subcommand join" -l audit -d 'Folder of the audit log, or none [default: identity.audit/RUN, beside the identity]' -r -F
complete -c starling -n "__fish_starling_using_subcommand join" -l shard -d 'Train on this shard, numbered from 0, of the job\'s [default: drawn from the identity]' -r
complete -c starling -n "__fish_starling_using_subcommand join" -l epochs -d 'Stop after so many epochs [default: as in the job, else never]' -r
complete -c starling -n "__fish_starling_using_subcommand join" -l dashboard -d 'Serve the dashboard, state, metrics and predictions over HTTP there, or none [default: 127.0.0.1:7878, or a free port when that is taken]. Beyond loopback, and with --dashboard-host, it asks for a token' -r
complete -c starling -n "__fish_starling_using_subcommand join" -l dashboard-token -d 'Ask for the token in this file, made when it is not there [default: identity.token beside the identity, beyond loopback and with --dashboard-host]' -r -F
complete -c starling -n "__fish_starling_using_subcommand join" -l dashboard-host -d 'The dashboard may be called by this name, too (repeatable): that of a proxy in front of it. Who comes by it needs the token' -r
complete -c starling -n "__fish_starling_using_subcommand join" -l checkpoint -d 'Write checkpoints into this folder: DIR/step-N, to predict from, to export, and to --resume' -r -F
complete -c starling -n "__fish_starling_using_subcommand join" -l checkpoint-every -d 'How often: a time as 30s, 5m, 1h, or with the evaluation of every so many epochs as 10epochs [default: 1m]' -r
complete -c starling -n "__fish_starling_using_subcommand join" -l keep -d 'Keep the newest K of them, and the best [default: 3]' -r
complete -c starling -n "__fish_starling_using_subcommand join" -l resume -d 'Go on from the newest whole checkpoint in this folder, and write further ones there' -r -F
complete -c starling -n "__fish_starling_using_subcommand join" -l init -d 'Begin at these weights in place of random ones; part of the run: all its peers must begin alike' -r -F
complete -c starling -n "__fish_starling_using_subcommand join" -l metrics -d 'Add a row for every evaluation to this file' -r -F
complete -c starling -n "__fish_starling_using_subcommand join" -l tensorboard -d 'Write the same for TensorBoard into this folder' -r -F
complete -c starling -n "__fish_starling_using_subcommand join" -l device -d 'Train on this device: auto (the best GPU, else the CPU), cpu, or a part of its name; NAME#2 is the second of that name' -r
complete -c starling -n "__fish_starling_using_subcommand join" -l threads -d 'Threads that compute on the CPU: of a peer, or of `sim` of every process, or of `sim --virtual` seeds at a time [default: the cores of this machine, shared out to its processes]' -r
complete -c starling -n "__fish_starling_using_subcommand join" -l data -d 'Data of your own instead of the job\'s set: a file or folder (`starling data ls` lists the formats)' -r -F
complete -c starling -n "__fish_starling_using_subcommand join" -l label -d 'The column of a table with the label, by its name or number from 0 [default: one named label or class, else the last]' -r
complete -c starling -n "__fish_starling_using_subcommand join" -l json -d 'Write the summary as JSON at the end; - is standard output, and people then read standard error' -r -F
complete -c starling -n "__fish_starling_using_subcommand join" -l log -d 'What to log on standard error: error, warn, info, debug, trace, or a filter as node=debug,libp2p=info' -r
complete -c starling -n "__fish_starling_using_subcommand join" -l log-format -d 'How to log' -r -f -a "text\t'For people'
json\t'One object a line'"
complete -c starling -n "__fish_starling_using_subcommand join" -l yes -d 'Take part without being asked first'
complete -c starling -n "__fish_starling_using_subcommand join" -l fetch-only -d 'Get the job file and stop'
complete -c starling -n "__fish_starling_using_subcommand join" -l open -d 'Agree to train with everyone: the job has no key'
complete -c starling -n "__fish_starling_using_subcommand join" -l no-mdns -d 'Neither announce this peer on the LAN nor look for others there'
complete -c starling -n "__fish_starling_using_subcommand join" -l no-relay -d 'Neither take links that another peer relays, nor relay for others'
complete -c starling -n "__fish_starling_using_subcommand join" -l no-upnp -d 'Do not ask the router to open a port (UPnP)'
complete -c starling -n "__fish_starling_using_subcommand join" -l no-gossip -d 'Train alone, without a socket'
complete -c starling -n "__fish_starling_using_subcommand join" -l overfit-one-batch -d 'Smoke test: train alone on one batch for 200 steps [or --epochs of 50]; exit code 3 unless it was learnt by heart'
complete -c starling -n "__fish_starling_using_subcommand join" -s q -l quiet -d 'Neither a bar nor a line of an epoch or a neighbour: the summary, warnings and errors stay'
complete -c starling -n "__fish_starling_using_subcommand join" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c starling -n "__fish_starling_using_subcommand doctor" -l job -d 'Whether peers of this job can be met' -r -F
complete -c starling -n "__fish_starling_using_subcommand doctor" -l peer -d 'Whether this peer can be reached (repeatable)' -r
complete -c starling -n "__fish_starling_using_subcommand doctor" -l peers -d 'Whether those in this file can be reached, one address a line, # for comments; of more than 32 the first ones' -r -F
complete -c starling -n "__fish_starling_using_subcommand doctor" -l listen -d 'Whether this can be listened on (repeatable)' -r
complete -c starling -n "__fish_starling_using_subcommand doctor" -l identity -d 'File of the identity key [default: identity.key in the user\'s data directory]' -r -F
complete -c starling -n "__fish_starling_using_subcommand doctor" -l json -d 'Write the findings as JSON; - is standard output' -r -F
complete -c starling -n "__fish_starling_using_subcommand doctor" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l peers -d 'Number of peers, 1 to 256 processes or 1 to 100000 virtual peers [default: 4, or as in the scenario]' -r
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l virtual -d 'Virtual peers in virtual time instead of processes, as the scenario file says; without a file, as the flags say' -r -F
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l seeds -d 'With --virtual: these seeds, in parallel [default: as many as the scenario asks for]' -r
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l variant -d 'With --virtual: only this variant of the scenario' -r
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l until -d 'With --virtual: stop after event number EVENT, to look at what led to a violation' -r
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l html -d 'With --virtual: write curves, tables and time line as one page' -r -F
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l job -d 'Start from this job file instead of the demo job; the other flags go on top' -r -F
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l epochs -d 'Epochs of every peer [default: as in the job, else 300]; who is through sooner trains on until all are' -r
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l steps -d 'Optimizer steps between two deltas of a peer' -r
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l model -d 'Hidden widths of the MLP, as 64,64; `none` for a linear model' -r
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l lr -d 'Learning rate' -r
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l batch -d 'Samples a step' -r
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l optimizer -d 'sgd, adam, or adam_common (for peers that see different classes)' -r
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l split -d 'iid, dirichlet:ALPHA (the smaller ALPHA, the less alike the data), classes:K (K classes a peer), sizes:ALPHA (some have much, some little), regions:FILE (as a file says), or rendezvous (dealt by pace, and anew as peers come and go)' -r
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l mode -d 'How progress is shared: incremental, full_sync, or pairwise' -r
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l codec -d 'How deltas are said: dense_f32, top_k_2bit, dense_f16, int8, sign, top_k_2bit:16, top_k_2bit:32, top_k_2bit:128, top_k_2bit:256' -r
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l gain -d 'Share of a delta that goes into the shared model, times the number of living peers' -r
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l seed -d 'Seed of everything random' -r
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l twin -d 'Run the processes with SEEDS seeds [default: 5], each again with virtual peers of the speeds measured, and compare: mean accuracy within 1 point, mean bytes sent within 10 %, or exit code 1' -r
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l kill -d 'Kill a peer (SIGKILL) so many seconds after the start (repeatable); peers are numbered from 0. What is due only after the last epoch does not happen' -r
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l restart -d 'Start a killed peer again, without any state (repeatable)' -r
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l lose-device -d 'Take a peer\'s device away so many seconds after the start (repeatable): it goes on, on the device opened again or on the CPU' -r
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l pause -d 'Stop a peer (SIGSTOP) at AT and let it go on after FOR, as 6@12+10 (repeatable)' -r
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l cut -d 'With --netns: cut the network in two halves at AT, and make it one again after FOR, as 20+60 (repeatable)' -r
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l duration -d 'Train for so long, as 40s, 5m or 2h, instead of a number of epochs' -r
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l kill-every -d 'Kill one peer after the other (SIGKILL), the first one first, one every so many seconds' -r
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l restart-after -d 'And start it again after so long, with nothing but its identity [default: never]' -r
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l spare -d 'And never these' -r
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l calm -d 'And nobody in the last so many seconds' -r
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l audit -d 'Every peer keeps an audit log: in DIR/peer-0, DIR/peer-1, ... [default: none of them does]' -r -F
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l checkpoint -d 'Every peer writes checkpoints: into DIR/peer-0, DIR/peer-1, ... [default: none of them does]' -r -F
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l checkpoint-every -d 'How often, as in `run` [default: 1m]' -r
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l dashboard -d 'Serve the dashboard of peer 0 there, as in `run`; of a range of ports, as 127.0.0.1:7878-7881, those of the first peers [default: none of them has one]' -r
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l device -d 'Train on this device: auto (the best GPU, else the CPU), cpu, or a part of its name; NAME#2 is the second of that name' -r
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l threads -d 'Threads that compute on the CPU: of a peer, or of `sim` of every process, or of `sim --virtual` seeds at a time [default: the cores of this machine, shared out to its processes]' -r
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l data -d 'Data of your own instead of the job\'s set: a file or folder (`starling data ls` lists the formats)' -r -F
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l label -d 'The column of a table with the label, by its name or number from 0 [default: one named label or class, else the last]' -r
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l json -d 'Write the summary as JSON at the end; - is standard output, and people then read standard error' -r -F
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l log -d 'What to log on standard error: error, warn, info, debug, trace, or a filter as node=debug,libp2p=info' -r
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l log-format -d 'How to log' -r -f -a "text\t'For people'
json\t'One object a line'"
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l no-gossip -d 'Every peer trains alone'
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l baseline -d 'Run the same again without gossip, and compare'
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -s q -l quiet -d 'Neither bars nor a line of an epoch: the summary, warnings and errors stay'
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -l netns -d 'Put each peer into a network namespace of its own, where they meet by mDNS (needs root)'
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -s h -l help -d 'Print help (see more with \'--help\')'
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -f -a "compare" -d 'What changed between two reports of `sim --virtual --json`'
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -f -a "saturation" -d 'At how many peers a link cannot carry every delta of everybody, and what groups make of it'
complete -c starling -n "__fish_starling_using_subcommand sim; and not __fish_seen_subcommand_from compare saturation help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c starling -n "__fish_starling_using_subcommand sim; and __fish_seen_subcommand_from compare" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand sim; and __fish_seen_subcommand_from saturation" -l job -d 'Job file; without it, the demo job' -r -F
complete -c starling -n "__fish_starling_using_subcommand sim; and __fish_seen_subcommand_from saturation" -l parameters -d 'Sizes of models, parameters' -r
complete -c starling -n "__fish_starling_using_subcommand sim; and __fish_seen_subcommand_from saturation" -l steps -d 'Optimizer steps between two deltas; without it, as the job says' -r
complete -c starling -n "__fish_starling_using_subcommand sim; and __fish_seen_subcommand_from saturation" -l step-ms -d 'Time of an optimizer step, milliseconds' -r
complete -c starling -n "__fish_starling_using_subcommand sim; and __fish_seen_subcommand_from saturation" -l megabits -d 'What a link carries, megabits a second' -r
complete -c starling -n "__fish_starling_using_subcommand sim; and __fish_seen_subcommand_from saturation" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand sim; and __fish_seen_subcommand_from help" -f -a "compare" -d 'What changed between two reports of `sim --virtual --json`'
complete -c starling -n "__fish_starling_using_subcommand sim; and __fish_seen_subcommand_from help" -f -a "saturation" -d 'At how many peers a link cannot carry every delta of everybody, and what groups make of it'
complete -c starling -n "__fish_starling_using_subcommand sim; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c starling -n "__fish_starling_using_subcommand job; and not __fish_seen_subcommand_from init check show help" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand job; and not __fish_seen_subcommand_from init check show help" -f -a "init" -d 'Write a commented job with a fresh swarm key; never overwrites'
complete -c starling -n "__fish_starling_using_subcommand job; and not __fish_seen_subcommand_from init check show help" -f -a "check" -d 'Check a job file and the data it names'
complete -c starling -n "__fish_starling_using_subcommand job; and not __fish_seen_subcommand_from init check show help" -f -a "show" -d 'Print a job with every default spelled out, and the id of its run'
complete -c starling -n "__fish_starling_using_subcommand job; and not __fish_seen_subcommand_from init check show help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c starling -n "__fish_starling_using_subcommand job; and __fish_seen_subcommand_from init" -l name -d 'Name of the swarm' -r
complete -c starling -n "__fish_starling_using_subcommand job; and __fish_seen_subcommand_from init" -l open -d 'Without a key: everyone may join'
complete -c starling -n "__fish_starling_using_subcommand job; and __fish_seen_subcommand_from init" -l stdout -d 'Print it instead'
complete -c starling -n "__fish_starling_using_subcommand job; and __fish_seen_subcommand_from init" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand job; and __fish_seen_subcommand_from check" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand job; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand job; and __fish_seen_subcommand_from help" -f -a "init" -d 'Write a commented job with a fresh swarm key; never overwrites'
complete -c starling -n "__fish_starling_using_subcommand job; and __fish_seen_subcommand_from help" -f -a "check" -d 'Check a job file and the data it names'
complete -c starling -n "__fish_starling_using_subcommand job; and __fish_seen_subcommand_from help" -f -a "show" -d 'Print a job with every default spelled out, and the id of its run'
complete -c starling -n "__fish_starling_using_subcommand job; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c starling -n "__fish_starling_using_subcommand swarm; and not __fish_seen_subcommand_from new show allow deny pair help" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand swarm; and not __fish_seen_subcommand_from new show allow deny pair help" -f -a "new" -d 'Give a job file a fresh swarm key: a private swarm, and a new one where there was a key before'
complete -c starling -n "__fish_starling_using_subcommand swarm; and not __fish_seen_subcommand_from new show allow deny pair help" -f -a "show" -d 'Print whether a job is open or private, the fingerprint of its key, and whom this machine links with'
complete -c starling -n "__fish_starling_using_subcommand swarm; and not __fish_seen_subcommand_from new show allow deny pair help" -f -a "allow" -d 'Link with these peers (as well), and with nobody who is not on the list'
complete -c starling -n "__fish_starling_using_subcommand swarm; and not __fish_seen_subcommand_from new show allow deny pair help" -f -a "deny" -d 'Take peers off the list'
complete -c starling -n "__fish_starling_using_subcommand swarm; and not __fish_seen_subcommand_from new show allow deny pair help" -f -a "pair" -d 'Show a code: whoever types it at `starling join` gets the file of this private job, once'
complete -c starling -n "__fish_starling_using_subcommand swarm; and not __fish_seen_subcommand_from new show allow deny pair help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c starling -n "__fish_starling_using_subcommand swarm; and __fish_seen_subcommand_from new" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand swarm; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand swarm; and __fish_seen_subcommand_from allow" -l everybody -d 'No list: everybody who knows the key'
complete -c starling -n "__fish_starling_using_subcommand swarm; and __fish_seen_subcommand_from allow" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand swarm; and __fish_seen_subcommand_from deny" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand swarm; and __fish_seen_subcommand_from pair" -l valid -d 'How long the code is good' -r
complete -c starling -n "__fish_starling_using_subcommand swarm; and __fish_seen_subcommand_from pair" -l listen -d 'Wait here (repeatable) [default: every interface, TCP and QUIC on one free port]' -r
complete -c starling -n "__fish_starling_using_subcommand swarm; and __fish_seen_subcommand_from pair" -l identity -d 'File of the identity key, in whose name the log is kept [default: identity.key in the user\'s data directory]' -r -F
complete -c starling -n "__fish_starling_using_subcommand swarm; and __fish_seen_subcommand_from pair" -l audit -d 'Folder of the audit log, or none [default: identity.audit/pairing-RUN, beside the identity]' -r -F
complete -c starling -n "__fish_starling_using_subcommand swarm; and __fish_seen_subcommand_from pair" -l no-mdns -d 'Do not announce it on the LAN: the newcomer types an address'
complete -c starling -n "__fish_starling_using_subcommand swarm; and __fish_seen_subcommand_from pair" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand swarm; and __fish_seen_subcommand_from help" -f -a "new" -d 'Give a job file a fresh swarm key: a private swarm, and a new one where there was a key before'
complete -c starling -n "__fish_starling_using_subcommand swarm; and __fish_seen_subcommand_from help" -f -a "show" -d 'Print whether a job is open or private, the fingerprint of its key, and whom this machine links with'
complete -c starling -n "__fish_starling_using_subcommand swarm; and __fish_seen_subcommand_from help" -f -a "allow" -d 'Link with these peers (as well), and with nobody who is not on the list'
complete -c starling -n "__fish_starling_using_subcommand swarm; and __fish_seen_subcommand_from help" -f -a "deny" -d 'Take peers off the list'
complete -c starling -n "__fish_starling_using_subcommand swarm; and __fish_seen_subcommand_from help" -f -a "pair" -d 'Show a code: whoever types it at `starling join` gets the file of this private job, once'
complete -c starling -n "__fish_starling_using_subcommand swarm; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c starling -n "__fish_starling_using_subcommand id; and not __fish_seen_subcommand_from show new help" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand id; and not __fish_seen_subcommand_from show new help" -f -a "show" -d 'Print the id of a peer, and where its key is'
complete -c starling -n "__fish_starling_using_subcommand id; and not __fish_seen_subcommand_from show new help" -f -a "new" -d 'Make a new identity; never overwrites without --force'
complete -c starling -n "__fish_starling_using_subcommand id; and not __fish_seen_subcommand_from show new help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c starling -n "__fish_starling_using_subcommand id; and __fish_seen_subcommand_from show" -l identity -d 'File of the identity key [default: identity.key in the user\'s data directory]' -r -F
complete -c starling -n "__fish_starling_using_subcommand id; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand id; and __fish_seen_subcommand_from new" -l identity -d 'File of the identity key [default: identity.key in the user\'s data directory]' -r -F
complete -c starling -n "__fish_starling_using_subcommand id; and __fish_seen_subcommand_from new" -l force -d 'Replace the one that is there, which is lost then'
complete -c starling -n "__fish_starling_using_subcommand id; and __fish_seen_subcommand_from new" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand id; and __fish_seen_subcommand_from help" -f -a "show" -d 'Print the id of a peer, and where its key is'
complete -c starling -n "__fish_starling_using_subcommand id; and __fish_seen_subcommand_from help" -f -a "new" -d 'Make a new identity; never overwrites without --force'
complete -c starling -n "__fish_starling_using_subcommand id; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c starling -n "__fish_starling_using_subcommand predict" -l checkpoint -d 'The folder of a run\'s checkpoints, of which the newest whole one is taken, or one step-N of it' -r -F
complete -c starling -n "__fish_starling_using_subcommand predict" -l device -d 'Compute on this device: auto (the best GPU, else the CPU), cpu, or a part of its name; NAME#2 is the second of that name' -r
complete -c starling -n "__fish_starling_using_subcommand predict" -l threads -d 'Threads that compute on the CPU [default: the cores of this machine]' -r
complete -c starling -n "__fish_starling_using_subcommand predict" -l json -d 'Write classes, probabilities and logits as JSON; - is standard output (a line for each row that comes on standard input)' -r -F
complete -c starling -n "__fish_starling_using_subcommand predict" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand generate" -l prompt -d 'The text that is continued' -r
complete -c starling -n "__fish_starling_using_subcommand generate" -l checkpoint -d 'The folder of a run\'s checkpoints, of which the newest whole one is taken, or one step-N of it' -r -F
complete -c starling -n "__fish_starling_using_subcommand generate" -l device -d 'Compute on this device: auto (the best GPU, else the CPU), cpu, or a part of its name; NAME#2 is the second of that name' -r
complete -c starling -n "__fish_starling_using_subcommand generate" -l threads -d 'Threads that compute on the CPU [default: the cores of this machine]' -r
complete -c starling -n "__fish_starling_using_subcommand generate" -l tokens -d 'Bytes to write' -r
complete -c starling -n "__fish_starling_using_subcommand generate" -l temperature -d 'Above 1 more daring, below 1 more careful, 0 always the likeliest' -r
complete -c starling -n "__fish_starling_using_subcommand generate" -l top-k -d 'Draw from the K likeliest bytes only; 0: from all' -r
complete -c starling -n "__fish_starling_using_subcommand generate" -l seed -d 'Seed of the draws: the same seed, the same text [default: another one each time]' -r
complete -c starling -n "__fish_starling_using_subcommand generate" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand eval" -l checkpoint -d 'The folder of a run\'s checkpoints, of which the newest whole one is taken, or one step-N of it' -r -F
complete -c starling -n "__fish_starling_using_subcommand eval" -l device -d 'Compute on this device: auto (the best GPU, else the CPU), cpu, or a part of its name; NAME#2 is the second of that name' -r
complete -c starling -n "__fish_starling_using_subcommand eval" -l threads -d 'Threads that compute on the CPU [default: the cores of this machine]' -r
complete -c starling -n "__fish_starling_using_subcommand eval" -l data -d 'Evaluate on the test part of these data [default: those of the run, where they are a set by name]' -r -F
complete -c starling -n "__fish_starling_using_subcommand eval" -l label -d 'The column of a table with the label, by its name or number from 0 [default: one named label or class, else the last]' -r
complete -c starling -n "__fish_starling_using_subcommand eval" -l json -d 'Write the figures as JSON; - is standard output' -r -F
complete -c starling -n "__fish_starling_using_subcommand eval" -l picture -d 'Draw the confusion matrix with names and counts, as .svg or .png' -r -F
complete -c starling -n "__fish_starling_using_subcommand eval" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand export" -l checkpoint -d 'The folder of a run\'s checkpoints, of which the newest whole one is taken, or one step-N of it' -r -F
complete -c starling -n "__fish_starling_using_subcommand export" -l format -d 'In which form. safetensors: the weights by name, shapes as PyTorch has them; what --init reads. onnx: the graph with its weights, for mlp and cnn: input [batch, ...], pictures channels first; output logits' -r -f -a "safetensors\t''
onnx\t''"
complete -c starling -n "__fish_starling_using_subcommand export" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand audit; and not __fish_seen_subcommand_from verify show help" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand audit; and not __fish_seen_subcommand_from verify show help" -f -a "verify" -d 'Check that nothing was altered, removed, doubled or moved; exit code 3 and the line when something was'
complete -c starling -n "__fish_starling_using_subcommand audit; and not __fish_seen_subcommand_from verify show help" -f -a "show" -d 'Print the records, one a line'
complete -c starling -n "__fish_starling_using_subcommand audit; and not __fish_seen_subcommand_from verify show help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c starling -n "__fish_starling_using_subcommand audit; and __fish_seen_subcommand_from verify" -l head -d 'A head that was noted earlier: is that record still there? Without it nobody can tell whether the end was cut off' -r
complete -c starling -n "__fish_starling_using_subcommand audit; and __fish_seen_subcommand_from verify" -l json -d 'Write what was found as JSON; - is standard output' -r -F
complete -c starling -n "__fish_starling_using_subcommand audit; and __fish_seen_subcommand_from verify" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand audit; and __fish_seen_subcommand_from show" -l since -d 'Only from this time on, UTC: 2026-11-24, or 2026-11-24T16:44' -r
complete -c starling -n "__fish_starling_using_subcommand audit; and __fish_seen_subcommand_from show" -l kind -d 'Only records of this kind (repeatable): file, start, stop, admit, refuse, copied, closed, accept, reject, hold, release, vote, exclude, retract, equivocation, snapshot, checkpoint, ban, unban, pair, control, gap, mended' -r
complete -c starling -n "__fish_starling_using_subcommand audit; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand audit; and __fish_seen_subcommand_from help" -f -a "verify" -d 'Check that nothing was altered, removed, doubled or moved; exit code 3 and the line when something was'
complete -c starling -n "__fish_starling_using_subcommand audit; and __fish_seen_subcommand_from help" -f -a "show" -d 'Print the records, one a line'
complete -c starling -n "__fish_starling_using_subcommand audit; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c starling -n "__fish_starling_using_subcommand data; and not __fish_seen_subcommand_from show ls help" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand data; and not __fish_seen_subcommand_from show ls help" -f -a "show" -d 'Samples, shapes, classes and their balance, and a few samples'
complete -c starling -n "__fish_starling_using_subcommand data; and not __fish_seen_subcommand_from show ls help" -f -a "ls" -d 'The sets that have a name, and the formats that are read'
complete -c starling -n "__fish_starling_using_subcommand data; and not __fish_seen_subcommand_from show ls help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c starling -n "__fish_starling_using_subcommand data; and __fish_seen_subcommand_from show" -l label -d 'The column of a table with the label, by its name or number from 0 [default: one named label or class, else the last]' -r
complete -c starling -n "__fish_starling_using_subcommand data; and __fish_seen_subcommand_from show" -l context -d 'As text for a language model, in windows of so many tokens [default for .txt, .bin, .u16 and .tokens: 64]' -r
complete -c starling -n "__fish_starling_using_subcommand data; and __fish_seen_subcommand_from show" -l size -d 'Height and width that pictures are brought to, as 32x32' -r
complete -c starling -n "__fish_starling_using_subcommand data; and __fish_seen_subcommand_from show" -l json -d 'Write it as JSON; - is standard output, and people then read nothing' -r -F
complete -c starling -n "__fish_starling_using_subcommand data; and __fish_seen_subcommand_from show" -l png -d 'Write a few pictures of each class as one PNG' -r -F
complete -c starling -n "__fish_starling_using_subcommand data; and __fish_seen_subcommand_from show" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand data; and __fish_seen_subcommand_from ls" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand data; and __fish_seen_subcommand_from help" -f -a "show" -d 'Samples, shapes, classes and their balance, and a few samples'
complete -c starling -n "__fish_starling_using_subcommand data; and __fish_seen_subcommand_from help" -f -a "ls" -d 'The sets that have a name, and the formats that are read'
complete -c starling -n "__fish_starling_using_subcommand data; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c starling -n "__fish_starling_using_subcommand device; and not __fish_seen_subcommand_from ls plan profile tune bench help" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand device; and not __fish_seen_subcommand_from ls plan profile tune bench help" -f -a "ls" -d 'List the devices, best first, and what multiplies on each'
complete -c starling -n "__fish_starling_using_subcommand device; and not __fish_seen_subcommand_from ls plan profile tune bench help" -f -a "plan" -d 'Parameters and memory of a job, before anything is trained; exit code 5 when it does not fit'
complete -c starling -n "__fish_starling_using_subcommand device; and not __fish_seen_subcommand_from ls plan profile tune bench help" -f -a "profile" -d 'Where the time of a training step goes, kernel by kernel'
complete -c starling -n "__fish_starling_using_subcommand device; and not __fish_seen_subcommand_from ls plan profile tune bench help" -f -a "tune" -d 'Measure every way to multiply of a job\'s layers, and keep the fastest for this device and for products of this size'
complete -c starling -n "__fish_starling_using_subcommand device; and not __fish_seen_subcommand_from ls plan profile tune bench help" -f -a "bench" -d 'How good a device is to train on: copy, products, optimizer, the choice of a delta, steps of four models, what gossip costs. Minutes; what a device cannot do in time is left out and named'
complete -c starling -n "__fish_starling_using_subcommand device; and not __fish_seen_subcommand_from ls plan profile tune bench help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c starling -n "__fish_starling_using_subcommand device; and __fish_seen_subcommand_from ls" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand device; and __fish_seen_subcommand_from plan" -l job -d 'The job file; without it the embedded demo job' -r -F
complete -c starling -n "__fish_starling_using_subcommand device; and __fish_seen_subcommand_from plan" -l device -d 'As in `run`: auto (the best GPU, else the CPU), cpu, or a part of its name; NAME#2 is the second of that name' -r
complete -c starling -n "__fish_starling_using_subcommand device; and __fish_seen_subcommand_from plan" -l data -d 'As in `run`: data of your own' -r -F
complete -c starling -n "__fish_starling_using_subcommand device; and __fish_seen_subcommand_from plan" -l label -d 'The column of a table with the label, by its name or number from 0 [default: one named label or class, else the last]' -r
complete -c starling -n "__fish_starling_using_subcommand device; and __fish_seen_subcommand_from plan" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand device; and __fish_seen_subcommand_from profile" -l job -d 'The job file; without it the embedded demo job' -r -F
complete -c starling -n "__fish_starling_using_subcommand device; and __fish_seen_subcommand_from profile" -l device -d 'As in `run`: auto (the best GPU, else the CPU), cpu, or a part of its name; NAME#2 is the second of that name' -r
complete -c starling -n "__fish_starling_using_subcommand device; and __fish_seen_subcommand_from profile" -l data -d 'As in `run`: data of your own' -r -F
complete -c starling -n "__fish_starling_using_subcommand device; and __fish_seen_subcommand_from profile" -l label -d 'The column of a table with the label, by its name or number from 0 [default: one named label or class, else the last]' -r
complete -c starling -n "__fish_starling_using_subcommand device; and __fish_seen_subcommand_from profile" -l threads -d 'Threads that compute on the CPU' -r
complete -c starling -n "__fish_starling_using_subcommand device; and __fish_seen_subcommand_from profile" -l steps -d 'Steps to average over' -r
complete -c starling -n "__fish_starling_using_subcommand device; and __fish_seen_subcommand_from profile" -l trace -d 'Write a step for Chrome\'s or Perfetto\'s trace viewer; - is standard output' -r -F
complete -c starling -n "__fish_starling_using_subcommand device; and __fish_seen_subcommand_from profile" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand device; and __fish_seen_subcommand_from tune" -l job -d 'The job file; without it the embedded demo job' -r -F
complete -c starling -n "__fish_starling_using_subcommand device; and __fish_seen_subcommand_from tune" -l device -d 'As in `run`: auto (the best GPU, else the CPU), cpu, or a part of its name; NAME#2 is the second of that name' -r
complete -c starling -n "__fish_starling_using_subcommand device; and __fish_seen_subcommand_from tune" -l data -d 'As in `run`: data of your own' -r -F
complete -c starling -n "__fish_starling_using_subcommand device; and __fish_seen_subcommand_from tune" -l label -d 'The column of a table with the label, by its name or number from 0 [default: one named label or class, else the last]' -r
complete -c starling -n "__fish_starling_using_subcommand device; and __fish_seen_subcommand_from tune" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand device; and __fish_seen_subcommand_from bench" -l device -d 'As in `run`: auto (the best GPU, else the CPU), cpu, or a part of its name; NAME#2 is the second of that name' -r
complete -c starling -n "__fish_starling_using_subcommand device; and __fish_seen_subcommand_from bench" -l threads -d 'Threads that compute on the CPU, the reference products too [default: the cores of this machine]' -r
complete -c starling -n "__fish_starling_using_subcommand device; and __fish_seen_subcommand_from bench" -l json -d 'Write the figures as JSON; - is standard output, and people then read standard error' -r -F
complete -c starling -n "__fish_starling_using_subcommand device; and __fish_seen_subcommand_from bench" -l against -d 'Hold them against what a rival\'s benchmark wrote on this machine (shaders/benches/rivals/pytorch.py --json FILE)' -r -F
complete -c starling -n "__fish_starling_using_subcommand device; and __fish_seen_subcommand_from bench" -l quick -d 'Smaller and rougher: under half a minute'
complete -c starling -n "__fish_starling_using_subcommand device; and __fish_seen_subcommand_from bench" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand device; and __fish_seen_subcommand_from help" -f -a "ls" -d 'List the devices, best first, and what multiplies on each'
complete -c starling -n "__fish_starling_using_subcommand device; and __fish_seen_subcommand_from help" -f -a "plan" -d 'Parameters and memory of a job, before anything is trained; exit code 5 when it does not fit'
complete -c starling -n "__fish_starling_using_subcommand device; and __fish_seen_subcommand_from help" -f -a "profile" -d 'Where the time of a training step goes, kernel by kernel'
complete -c starling -n "__fish_starling_using_subcommand device; and __fish_seen_subcommand_from help" -f -a "tune" -d 'Measure every way to multiply of a job\'s layers, and keep the fastest for this device and for products of this size'
complete -c starling -n "__fish_starling_using_subcommand device; and __fish_seen_subcommand_from help" -f -a "bench" -d 'How good a device is to train on: copy, products, optimizer, the choice of a delta, steps of four models, what gossip costs. Minutes; what a device cannot do in time is left out and named'
complete -c starling -n "__fish_starling_using_subcommand device; and __fish_seen_subcommand_from help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c starling -n "__fish_starling_using_subcommand plot" -l out -d 'Where to draw it, .svg or .png' -r -F
complete -c starling -n "__fish_starling_using_subcommand plot" -l x -d 'What the curves go over' -r -f -a "steps\t''
epochs\t''
seconds\t''
bytes\t''"
complete -c starling -n "__fish_starling_using_subcommand plot" -l scale -d 'Pixels of a PNG for one of the drawing' -r
complete -c starling -n "__fish_starling_using_subcommand plot" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand top" -l dashboard-token -d 'Bring the token in this file, where the dashboard asks for one' -r -F
complete -c starling -n "__fish_starling_using_subcommand top" -l json -d 'Write the states as JSON and end; - is standard output' -r -F
complete -c starling -n "__fish_starling_using_subcommand top" -l once -d 'Print one frame as text and end'
complete -c starling -n "__fish_starling_using_subcommand top" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand completions" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand man" -s h -l help -d 'Print help'
complete -c starling -n "__fish_starling_using_subcommand help; and not __fish_seen_subcommand_from run ls join doctor sim job swarm id predict generate eval export audit data device plot top completions man help" -f -a "run" -d 'One peer: trains, gossips with whom it finds on the LAN, until it is stopped'
complete -c starling -n "__fish_starling_using_subcommand help; and not __fish_seen_subcommand_from run ls join doctor sim job swarm id predict generate eval export audit data device plot top completions man help" -f -a "ls" -d 'The jobs and peers that are heard on this network'
complete -c starling -n "__fish_starling_using_subcommand help; and not __fish_seen_subcommand_from run ls join doctor sim job swarm id predict generate eval export audit data device plot top completions man help" -f -a "join" -d 'Take part in a job that is heard on this network, or that a peer at an address runs'
complete -c starling -n "__fish_starling_using_subcommand help; and not __fish_seen_subcommand_from run ls join doctor sim job swarm id predict generate eval export audit data device plot top completions man help" -f -a "doctor" -d 'Why peers do not meet: this machine, its network, and who is there, each finding with its remedy'
complete -c starling -n "__fish_starling_using_subcommand help; and not __fish_seen_subcommand_from run ls join doctor sim job swarm id predict generate eval export audit data device plot top completions man help" -f -a "sim" -d 'A swarm of real processes on this machine, with a live table and a summary'
complete -c starling -n "__fish_starling_using_subcommand help; and not __fish_seen_subcommand_from run ls join doctor sim job swarm id predict generate eval export audit data device plot top completions man help" -f -a "job" -d 'Write, check or show a job file: what a swarm trains, and its invitation'
complete -c starling -n "__fish_starling_using_subcommand help; and not __fish_seen_subcommand_from run ls join doctor sim job swarm id predict generate eval export audit data device plot top completions man help" -f -a "swarm" -d 'Who may take part in a job: its key, and whom this machine links with'
complete -c starling -n "__fish_starling_using_subcommand help; and not __fish_seen_subcommand_from run ls join doctor sim job swarm id predict generate eval export audit data device plot top completions man help" -f -a "id" -d 'Show or make the identity of a peer'
complete -c starling -n "__fish_starling_using_subcommand help; and not __fish_seen_subcommand_from run ls join doctor sim job swarm id predict generate eval export audit data device plot top completions man help" -f -a "predict" -d 'What a trained model says of samples'
complete -c starling -n "__fish_starling_using_subcommand help; and not __fish_seen_subcommand_from run ls join doctor sim job swarm id predict generate eval export audit data device plot top completions man help" -f -a "generate" -d 'Continue a text with a trained language model'
complete -c starling -n "__fish_starling_using_subcommand help; and not __fish_seen_subcommand_from run ls join doctor sim job swarm id predict generate eval export audit data device plot top completions man help" -f -a "eval" -d 'What a trained model is worth: loss, accuracy, confusion, F1, perplexity'
complete -c starling -n "__fish_starling_using_subcommand help; and not __fish_seen_subcommand_from run ls join doctor sim job swarm id predict generate eval export audit data device plot top completions man help" -f -a "export" -d 'Write a trained model for other tools'
complete -c starling -n "__fish_starling_using_subcommand help; and not __fish_seen_subcommand_from run ls join doctor sim job swarm id predict generate eval export audit data device plot top completions man help" -f -a "audit" -d 'Check or show the log of whom a peer let in and what it took'
complete -c starling -n "__fish_starling_using_subcommand help; and not __fish_seen_subcommand_from run ls join doctor sim job swarm id predict generate eval export audit data device plot top completions man help" -f -a "data" -d 'What a data set holds, and which sets and formats there are'
complete -c starling -n "__fish_starling_using_subcommand help; and not __fish_seen_subcommand_from run ls join doctor sim job swarm id predict generate eval export audit data device plot top completions man help" -f -a "device" -d 'What there is to train on, and what a job would take of it'
complete -c starling -n "__fish_starling_using_subcommand help; and not __fish_seen_subcommand_from run ls join doctor sim job swarm id predict generate eval export audit data device plot top completions man help" -f -a "plot" -d 'Draw curves of runs beside each other, and weights of checkpoints'
complete -c starling -n "__fish_starling_using_subcommand help; and not __fish_seen_subcommand_from run ls join doctor sim job swarm id predict generate eval export audit data device plot top completions man help" -f -a "top" -d 'How running peers stand, live in this terminal'
complete -c starling -n "__fish_starling_using_subcommand help; and not __fish_seen_subcommand_from run ls join doctor sim job swarm id predict generate eval export audit data device plot top completions man help" -f -a "completions" -d 'Print what a shell needs to complete these words'
complete -c starling -n "__fish_starling_using_subcommand help; and not __fish_seen_subcommand_from run ls join doctor sim job swarm id predict generate eval export audit data device plot top completions man help" -f -a "man" -d 'Write a man page for every command'
complete -c starling -n "__fish_starling_using_subcommand help; and not __fish_seen_subcommand_from run ls join doctor sim job swarm id predict generate eval export audit data device plot top completions man help" -f -a "help" -d 'Print this message or the help of the given subcommand(s)'
complete -c starling -n "__fish_starling_using_subcommand help; and __fish_seen_subcommand_from sim" -f -a "compare" -d 'What changed between two reports of `sim --virtual --json`'
complete -c starling -n "__fish_starling_using_subcommand help; and __fish_seen_subcommand_from sim" -f -a "saturation" -d 'At how many peers a link cannot carry every delta of everybody, and what groups make of it'
complete -c starling -n "__fish_starling_using_subcommand help; and __fish_seen_subcommand_from job" -f -a "init" -d 'Write a commented job with a fresh swarm key; never overwrites'
complete -c starling -n "__fish_starling_using_subcommand help; and __fish_seen_subcommand_from job" -f -a "check" -d 'Check a job file and the data it names'
complete -c starling -n "__fish_starling_using_subcommand help; and __fish_seen_subcommand_from job" -f -a "show" -d 'Print a job with every default spelled out, and the id of its run'
complete -c starling -n "__fish_starling_using_subcommand help; and __fish_seen_subcommand_from swarm" -f -a "new" -d 'Give a job file a fresh swarm key: a private swarm, and a new one where there was a key before'
complete -c starling -n "__fish_starling_using_subcommand help; and __fish_seen_subcommand_from swarm" -f -a "show" -d 'Print whether a job is open or private, the fingerprint of its key, and whom this machine links with'
complete -c starling -n "__fish_starling_using_subcommand help; and __fish_seen_subcommand_from swarm" -f -a "allow" -d 'Link with these peers (as well), and with nobody who is not on the list'
complete -c starling -n "__fish_starling_using_subcommand help; and __fish_seen_subcommand_from swarm" -f -a "deny" -d 'Take peers off the list'
complete -c starling -n "__fish_starling_using_subcommand help; and __fish_seen_subcommand_from swarm" -f -a "pair" -d 'Show a code: whoever types it at `starling join` gets the file of this private job, once'
complete -c starling -n "__fish_starling_using_subcommand help; and __fish_seen_subcommand_from id" -f -a "show" -d 'Print the id of a peer, and where its key is'
complete -c starling -n "__fish_starling_using_subcommand help; and __fish_seen_subcommand_from id" -f -a "new" -d 'Make a new identity; never overwrites without --force'
complete -c starling -n "__fish_starling_using_subcommand help; and __fish_seen_subcommand_from audit" -f -a "verify" -d 'Check that nothing was altered, removed, doubled or moved; exit code 3 and the line when something was'
complete -c starling -n "__fish_starling_using_subcommand help; and __fish_seen_subcommand_from audit" -f -a "show" -d 'Print the records, one a line'
complete -c starling -n "__fish_starling_using_subcommand help; and __fish_seen_subcommand_from data" -f -a "show" -d 'Samples, shapes, classes and their balance, and a few samples'
complete -c starling -n "__fish_starling_using_subcommand help; and __fish_seen_subcommand_from data" -f -a "ls" -d 'The sets that have a name, and the formats that are read'
complete -c starling -n "__fish_starling_using_subcommand help; and __fish_seen_subcommand_from device" -f -a "ls" -d 'List the devices, best first, and what multiplies on each'
complete -c starling -n "__fish_starling_using_subcommand help; and __fish_seen_subcommand_from device" -f -a "plan" -d 'Parameters and memory of a job, before anything is trained; exit code 5 when it does not fit'
complete -c starling -n "__fish_starling_using_subcommand help; and __fish_seen_subcommand_from device" -f -a "profile" -d 'Where the time of a training step goes, kernel by kernel'
complete -c starling -n "__fish_starling_using_subcommand help; and __fish_seen_subcommand_from device" -f -a "tune" -d 'Measure every way to multiply of a job\'s layers, and keep the fastest for this device and for products of this size'
complete -c starling -n "__fish_starling_using_subcommand help; and __fish_seen_subcommand_from device" -f -a "bench" -d 'How good a device is to train on: copy, products, optimizer, the choice of a delta, steps of four models, what gossip costs. Minutes; what a device cannot do in time is left out and named'
