# A chart's values.yaml as a Markdown table: a row for each value below a `# -- what it is` comment.
# Expects two blanks for each level and each value on one line, which is how that file is written.
function fail(text) { print FILENAME ":" FNR ": " text > "/dev/stderr"; failed = 1; exit 1 }
BEGIN { print "| Value | Default | Meaning |"; print "| --- | --- | --- |" }
/^ *# -- / {
  if (about != "") fail("two comments for one value")
  about = $0; sub(/^ *# -- /, "", about); next
}
/^ *#/ || /^ *$/ {
  if (about != "") fail("a comment that belongs to no value: " about)
  next
}
{
  if (!match($0, /^ *[A-Za-z][A-Za-z0-9]*:/)) fail("not a value on a line of its own")
  key = substr($0, 1, RLENGTH - 1)
  value = substr($0, RLENGTH + 1)
  depth = match(key, /[^ ]/) - 1
  if (depth % 2) fail("indented by an odd number of blanks")
  path[depth / 2] = substr(key, depth + 1)
  sub(/^ +/, "", value)
  name = path[0]
  for (level = 1; level <= depth / 2; level++) name = name "." path[level]
  if (value == "") {
    if (about != "") fail(name " has a comment and no value")
    next
  }
  if (about == "") fail(name " has no comment that starts with `# --`")
  gsub(/\|/, "\\|", about); gsub(/\|/, "\\|", value)
  print "| `" name "` | `" value "` | " about " |"
  about = ""
}
END { if (!failed && about != "") fail("a comment that belongs to no value: " about) }
