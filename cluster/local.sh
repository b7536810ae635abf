#!/usr/bin/env bash
# A cluster of several nodes on this machine, with token authentication:
#   cluster/local.sh up [WORKERS] [CPUS]   one head without work and WORKERS nodes of CPUS each;
#                                          prints what to export
#   cluster/local.sh down                  stops just these, by their process groups (`ray stop`
#                                          would take every Ray on the machine)
# State: $RAYGAN_CLUSTER (default: .raygan-cluster); ports: $RAYGAN_PORT (6390),
# $RAYGAN_DASHBOARD_PORT (8290).
set -euo pipefail
state=${RAYGAN_CLUSTER:-.raygan-cluster}
port=${RAYGAN_PORT:-6390} dashboard=${RAYGAN_DASHBOARD_PORT:-8290}

up() {
  local workers=${1:-2} cpus=${2:-1}
  if [ -e "$state/pids" ]; then
    echo "local.sh: a cluster runs already ($state/pids). First: $0 down" >&2; exit 2
  fi
  for taken in "$port" "$dashboard"; do
    if (exec 3<> "/dev/tcp/127.0.0.1/$taken") 2> /dev/null; then
      echo "local.sh: port $taken is in use. Set RAYGAN_PORT and RAYGAN_DASHBOARD_PORT." >&2; exit 2
    fi
  done
  mkdir -p -m 700 "$state"
  state=$(cd "$state" && pwd)
  (umask 077 && python3 -c 'import secrets; print(secrets.token_hex(32), end="")' > "$state/token")
  export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$state/token
  export RAY_USAGE_STATS_ENABLED=0 RAY_worker_register_timeout_seconds=20
  # a session's folder must have a short name: Ray's sockets lie in it, and 107 bytes are all that a
  # socket's name may have
  local folder; folder=$(mktemp -d /tmp/rc.XXXXXX); echo "$folder" > "$state/folder"
  start "$folder" --head --port "$port" --dashboard-port "$dashboard" --num-cpus 0 \
    --temp-dir "$folder" --object-store-memory 100000000
  wait_for_nodes 1
  for node in $(seq "$workers"); do
    start "$folder" --address "127.0.0.1:$port" --num-cpus "$cpus" --object-store-memory 100000000
    wait_for_nodes $((node + 1))
  done
  echo "export RAY_AUTH_MODE=token RAY_AUTH_TOKEN_PATH=$state/token RAY_ADDRESS=127.0.0.1:$port" \
    "RAY_API_SERVER_ADDRESS=http://127.0.0.1:$dashboard"
}

nodes=0
# in a process group of its own, so that it can be stopped without stopping others; an agent's port
# of its own as well
start() {
  local folder=$1; shift
  nodes=$((nodes + 1))
  setsid ray start --block --disable-usage-stats \
    --dashboard-agent-listen-port $((dashboard + nodes)) "$@" \
    > "$state/node.$(date +%s%N).log" 2>&1 < /dev/null &
  echo $! >> "$state/pids"
}

wait_for_nodes() {
  python3 - "$1" "$port" << 'PY'
import logging, sys, time
import ray
logging.getLogger("ray").setLevel(logging.CRITICAL)
deadline, up = time.monotonic() + 120, 0
while up < int(sys.argv[1]):
    if time.monotonic() > deadline:
        sys.exit(f"local.sh: {up} of {sys.argv[1]} nodes came up")
    try:
        if not ray.is_initialized():
            ray.init(address=f"127.0.0.1:{sys.argv[2]}", logging_level=logging.CRITICAL,
                     log_to_driver=False)
        up = sum(n["Alive"] for n in ray.nodes())
    except ConnectionError:
        pass
    time.sleep(0.25)
PY
}

down() {
  [ -e "$state/pids" ] || { echo "local.sh: no cluster here ($state/pids)" >&2; exit 2; }
  for pid in $(tac "$state/pids"); do kill -TERM -- "-$pid" 2> /dev/null || true; done
  for _ in $(seq 12); do # some of Ray's processes never end by themselves: 3 s for all together
    alive=; for pid in $(cat "$state/pids"); do kill -0 -- "-$pid" 2> /dev/null && alive=1; done
    [ -n "$alive" ] || break
    sleep 0.25
  done
  for pid in $(cat "$state/pids"); do kill -KILL -- "-$pid" 2> /dev/null || true; done
  rm -rf "$(cat "$state/folder")" "$state/pids" "$state/folder" "$state/token"
}

case ${1:-} in
  up) shift; up "$@" ;;
  down) down ;;
  *) sed -n '2,8s/^# \{0,1\}//p' "$0" >&2; exit 2 ;;
esac
