# Prints a Makefile's groups (`##@ Name`) and targets (`name: … ## what it does`).
/^##@ / { printf "\n%s\n", substr($0, 5) }
/^[a-z][a-z0-9-]*:.*## / {
  target = $0; sub(/:.*/, "", target)
  text = $0; sub(/^[^#]*## /, "", text)
  printf "  make %-19s %s\n", target, text
}
