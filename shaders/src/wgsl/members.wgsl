// The numbers of a group one after the other: C channels a place, of which D are the group's.
struct Member {
    // Where it lies, and which of the D channels it is.
    at: u32,
    channel: u32,
}

fn behind(member: Member, C: u32, D: u32) -> Member {
    let last = member.channel + 1u == D;
    return Member(member.at + select(1u, 1u + C - D, last), select(member.channel + 1u, 0u, last));
}
