# Sourced. Sets $router, $server and $sandbox to the addresses on which compose publishes the services;
# a variable wins over .env, as it does for compose.
port_of() { # VARIABLE DEFAULT
  port=$(eval "printf %s \"\${$1-}\"")
  if [ -z "$port" ] && [ -f .env ]; then port=$(awk -f scripts/dotenv.awk .env | sed -n "s/^$1	//p" | tail -n 1); fi
  printf %s "${port:-$2}"
}
router=http://localhost:$(port_of ROUTER_PORT 8000)
server=http://localhost:$(port_of SERVER_PORT 8001)
sandbox=http://localhost:$(port_of SANDBOX_PORT 8002)
