//! [`super`] with announcements that nobody has made.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

pub(super) fn listing(addresses: &[&str]) -> Listing {
    Listing {
        peer: PeerId([7; 32]),
        run: RunId(Hash([1; 32])),
        schema: SchemaHash(Hash([2; 32])),
        wire: VERSION,
        job: "flock".into(),
        open: true,
        pairs: false,
        addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(),
    }
}

fn again(listing: &Listing) -> Option<Listing> {
    let properties = listing.properties(&Ports::of(&listing.addresses));
    let get = |key: &str| properties.iter().find(|(name, _)| *name == key).map(|(_, value)| value.as_str());
    Listing::read(get, listing.addresses.iter().filter_map(address::ip).collect::<BTreeSet<_>>())
}

#[test]
fn what_is_announced_is_what_is_read() {
    let all = listing(&[
        "/ip4/192.0.2.7/tcp/4001",
        "/ip6/2001:db8::7/tcp/4002",
        "/ip4/192.0.2.7/udp/4001/quic-v1",
        "/ip6/2001:db8::7/udp/4003/quic-v1",
    ]);
    let pairs = Listing { pairs: true, ..all.clone() };
    assert_eq!(again(&pairs), Some(pairs));
    assert_eq!(again(&all), Some(all));
    assert!(all_fit(&listing(&["/ip4/192.0.2.7/tcp/4001"])));
}

/// A string of a TXT record has 255 bytes at most.
fn all_fit(listing: &Listing) -> bool {
    let mut listing = listing.clone();
    listing.job = "x".repeat(JOB_BYTES_MAX);
    listing.properties(&Ports::default()).iter().all(|(key, value)| key.len() + 1 + value.len() <= 255)
}

#[test]
fn what_cannot_be_dialled_is_left_out() {
    let found = again(&listing(&["/ip4/0.0.0.0/tcp/1", "/ip6/fe80::1/tcp/1", "/ip4/192.0.2.7/tcp/1"])).unwrap();
    assert_eq!(found.addresses, ["/ip4/192.0.2.7/tcp/1".parse().unwrap()]);
}

fn lan(addresses: &[&str]) -> Lan {
    let mut lan = Lan::open(listing(addresses)).unwrap();
    lan.fullname = Some("us".into());
    lan
}

fn friend(number: u16) -> Listing {
    let [high, low] = number.to_be_bytes();
    Listing { peer: PeerId([8, high, low].repeat(11)[..32].try_into().unwrap()), ..listing(&["/ip4/192.0.2.9/tcp/1"]) }
}

#[test]
fn our_own_words_are_no_double_wherever_they_say_we_were() {
    let (mut lan, now) = (lan(&["/ip4/192.0.2.7/tcp/4001"]), Instant::now());
    let gone = listing(&["/ip4/192.0.2.8/tcp/4001"]);
    assert!(lan.on_listing("us", gone.clone(), now).is_none());
    assert!(matches!(lan.on_listing("another life", gone, now), Some(Heard::Double(_))));
}

#[test]
fn made_up_peers_are_passed_on_at_a_rate_and_each_in_its_turn() {
    let (mut lan, now) = (lan(&["/ip4/192.0.2.7/tcp/4001"]), Instant::now());
    let passed = (0..200).filter(|&i| lan.on_listing(&format!("name {i}"), friend(i), now).is_some()).count();
    assert_eq!(passed, 64);
    // One name that goes from peer to peer.
    let later = now + Duration::from_secs(4);
    let passed = (200..300).filter(|&i| lan.on_listing("name 0", friend(i), later).is_some()).count();
    assert_eq!(passed, 0);
    let mut offered = BTreeSet::new();
    for second in 11..=20 {
        for heard in lan.due(now + Duration::from_secs(second), false, |peer| peer == friend(7).peer) {
            let Heard::Ours(peer, _) = heard else { panic!("{heard:?}") };
            assert!(offered.insert(peer), "offered twice in one turn");
        }
    }
    assert_eq!(offered.len(), 199, "all but the one that is up");
}

/// A stranger announces another instance in the name of a peer, with as many addresses as one may have, all before its own in order.
#[test]
fn one_forged_announcement_hides_no_address_of_a_peer() {
    let (mut lan, now) = (lan(&["/ip4/192.0.2.7/tcp/4001"]), Instant::now());
    let texts: Vec<String> = (1..=8).map(|host| format!("/ip4/10.0.0.{host}/tcp/1")).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let (honest, forged) = (friend(1), Listing { peer: friend(1).peer, ..listing(&texts) });
    for names in [["honest", "forged"], ["another forged", "another honest"]] {
        for name in names {
            let listing = if name.contains("honest") { &honest } else { &forged };
            lan.on_listing(name, listing.clone(), now);
        }
        let Some(Heard::Ours(_, addresses)) = lan.ours(honest.peer) else { panic!("it was heard of") };
        assert!(addresses.contains(&honest.addresses[0]), "{addresses:?}");
        assert_eq!(addresses.len(), ADDRESSES_MAX);
    }
}

/// A hundred made-up names a second take neither the turn nor the place of who was a neighbour.
#[test]
fn a_flood_of_names_does_not_keep_out_who_is_known() {
    let (mut lan, now) = (lan(&["/ip4/192.0.2.7/tcp/4001"]), Instant::now());
    // Its id is the last of all.
    let known = Listing { peer: PeerId([0xff; 32]), ..friend(0) };
    lan.on_listing("known", known.clone(), now);
    lan.due(now, false, |peer| peer == known.peer);
    let (mut name, mut offered) = (0, 0);
    for second in 1..=20 {
        let now = now + Duration::from_secs(second);
        let mut passed = 0;
        for _ in 0..100 {
            name += 1;
            passed += usize::from(lan.on_listing(&format!("name {name}"), friend(name), now).is_some());
        }
        assert!((1..=64).contains(&passed), "what is new is passed on, at a rate: {passed}");
        let due = lan.due(now, false, |_| false);
        offered += due.iter().filter(|heard| matches!(heard, Heard::Ours(peer, _) if *peer == known.peer)).count();
    }
    assert!(offered >= 1, "its turn comes");
    assert!(lan.heard.get("known").is_some(), "and it is not forgotten");
    let in_one_name = (0..100).filter(|i| lan.on_listing(&format!("alias {i}"), known.clone(), now).is_some()).count();
    assert!(in_one_name <= 1, "{in_one_name}");
}

#[tokio::test]
async fn a_search_that_was_ended_is_told_of_and_begun_anew() {
    let mut lan = lan(&["/ip4/192.0.2.7/tcp/4001"]);
    lan.daemon.stop_browse(SERVICE).unwrap();
    let heard = async {
        loop {
            if let Heard::Trouble(text) = lan.next().await
                && text.contains("begins anew")
            {
                break;
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), heard).await.expect("the end of the search is told of");
    assert!(lan.events.is_disconnected() && lan.cut_off.is_some());
    lan.due(Instant::now(), false, |_| false);
    assert!(lan.cut_off.is_some(), "not at once");
    lan.due(Instant::now() + CUT_OFF_PAUSE + Duration::from_secs(1), false, |_| false);
    assert!(!lan.events.is_disconnected() && lan.cut_off.is_none());
}

proptest! {
    #[test]
    fn hostile_text_is_no_panic_and_bounded(values in prop::collection::vec(".{0,300}", 11), ips in prop::collection::vec(any::<u32>(), 0..40)) {
        let keys = ["peer", "run", "schema", "wire", "job", "open", "tcp4", "tcp6", "quic4", "quic6", "pair"];
        let good = "07".repeat(32);
        for trust in [false, true] {
            let get = |key: &str| {
                let i = keys.iter().position(|name| *name == key)?;
                Some(match i { 0..=2 if trust => good.as_str(), 3 if trust => "3", _ => values[i].as_str() })
            };
            let ips = ips.iter().map(|&bits| IpAddr::V4(bits.into()));
            if let Some(listing) = Listing::read(get, ips) {
                prop_assert!(listing.addresses.len() <= ADDRESSES_MAX && listing.job.len() <= JOB_BYTES_MAX);
            }
        }
    }
}
