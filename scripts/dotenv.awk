# Prints NAME<tab>VALUE for each assignment of a .env file, as compose reads it: `export` allowed, quotes taken off,
# an unquoted value ends at ` #`. With -v commented=1 also those that are commented out (`# NAME=value`), for .env.example.
{
  line = $0
  sub(/\r$/, "", line)
  sub(/^[ \t]+/, "", line)
  if (commented) sub(/^#[ \t]*/, "", line)
  sub(/^export[ \t]+/, "", line)
  if (line !~ /^[A-Z][A-Z0-9_]*[ \t]*=/) next
  name = line; sub(/[ \t]*=.*/, "", name)
  value = line; sub(/^[^=]*=[ \t]*/, "", value)
  quote = substr(value, 1, 1)
  if (quote == "\"" || quote == "'") {
    value = substr(value, 2)
    end = index(value, quote)
    if (end) value = substr(value, 1, end - 1)
  } else {
    sub(/^#.*/, "", value)
    sub(/[ \t]+#.*/, "", value)
    sub(/[ \t]+$/, "", value)
  }
  printf "%s\t%s\n", name, value
}
