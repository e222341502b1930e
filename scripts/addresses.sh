# Sourced. Sets $router, $server, $sandbox, $grafana, $prometheus and $jaeger to the addresses on which compose publishes the
# services; a variable wins over .env, as it does for compose.
value_of() { awk -f scripts/dotenv.awk "$2" | sed -n "s/^$1	//p" | tail -n 1; } # NAME FILE
setting() { # VARIABLE DEFAULT
  found=$(eval "printf %s \"\${$1-}\"")
  if [ -z "$found" ] && [ -f .env ]; then found=$(value_of "$1" .env); fi
  printf %s "${found:-$2}"
}
router=http://localhost:$(setting ROUTER_PORT 8000)
server=http://localhost:$(setting SERVER_PORT 8001)
sandbox=http://localhost:$(setting SANDBOX_PORT 8002)
grafana=http://localhost:$(setting GRAFANA_PORT 3000)
prometheus=http://localhost:$(setting PROMETHEUS_PORT 9090)
jaeger=http://localhost:$(setting JAEGER_PORT 16686)
