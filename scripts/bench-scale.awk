# Judges what scripts/bench-scale measured: three lines of the small file, three of the large one, one of the backlog.
function field(name) {
    if (!match($0, "\"" name "\":[0-9.]+")) { print "no " name " in: " $0; bad = 1; return 0 }
    return substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 3) + 0
}
function says(right, text) {
    print (right ? "ok    " : "MISSED ") text
    if (!right) bad = 1
}
# The least of three: whatever else the machine did only adds.
function least(old, new) { return old == "" || new < old ? new : old }
NR <= 3 { small = least(small, field("cpu_us")); small_wall = least(small_wall, field("wall_us")) }
NR > 3 && NR <= 6 { large = least(large, field("cpu_us")); large_wall = least(large_wall, field("wall_us")) }
NR == 7 { first = field("first_done_ms"); rss = field("rss_mib"); looks = field("queues_and_ledger_ms") }
END {
    if (NR != 7 || small == 0 || small_wall == 0) { print "something was not measured"; exit 1 }
    ratio = large / small
    says(ratio <= 1.2, sprintf("a message costs %.0f us of processor time on the small file, %.0f us on the large one: %.2f times (at most 1.2)", small, large, ratio))
    printf "       in wall time %.0f us and %.0f us: %.2f times\n", small_wall, large_wall, large_wall / small_wall
    says(first <= 2000, sprintf("the backlog begins to drain after %d ms (at most 2000)", first))
    says(rss <= 128, sprintf("with %d MiB (at most 128)", rss))
    says(looks <= 2000, sprintf("queues and ledger are counted in %d ms (at most 2000)", looks))
    exit bad
}
