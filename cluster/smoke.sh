#!/usr/bin/env bash
# From an empty folder: a cluster with token authentication, then submit, watch, scale, stop,
# resume, fetch, by README's lines.
# Exits 0 when every step did what README says. CI runs it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
cd "$work"
export RAYGAN_CLUSTER=$work/cluster
trap '"$here/local.sh" down; rm -rf "$work"' EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
say() { printf '\n== %s\n' "$*"; }
expect() { # expect CODE COMMAND...: the exit code is part of what is promised
  local wanted=$1 code=0; shift
  "$@" || code=$?
  if [ "$code" != "$wanted" ]; then
    echo "smoke.sh: '$*' ended with $code, not $wanted" >&2; exit 1
  fi
}

say "a cluster of a head and two nodes"
"$here/local.sh" up 2 1 > environment.sh
. ./environment.sh
runs=$work/runs
small=(--num-pairs 2 --batch-size 16 --network.hidden 16 --evaluation.every-steps 200
       --evaluation.samples 1600 --checkpoint.every-steps 200 --resources.spares 0
       --run-dir "$runs")

say "submit, and do not wait"
expect 0 raygan submit --no-wait -- train --preset ring8-pmgan --strategy.classes 4 \
  --tempo async --steps 1000000 --name mine "${small[@]}"
for _ in $(seq 120); do
  raygan status mine > status.txt 2> /dev/null && grep -q 'mine: running' status.txt && break
  sleep 0.5
done
cat status.txt
grep -q 'mine: running' status.txt

say "scale"
expect 0 raygan scale mine --pairs 3
raygan status mine --json | python3 -c 'import json, sys
assert any(p["player"] == "gen-02" for p in json.load(sys.stdin)["players"])'

say "the doors are shut without the token"
wrong=wrong-token-0123456789abcdef0123456789abcdef
expect 2 env RAY_AUTH_TOKEN_PATH= RAY_AUTH_TOKEN=$wrong \
  raygan runs --address "$RAY_API_SERVER_ADDRESS"

say "stop: a checkpoint is saved, the job ends with 143"
expect 0 raygan stop mine
for _ in $(seq 60); do
  raygan runs --address auto > runs.txt; grep -q 143 runs.txt && break
  sleep 0.5
done
cat runs.txt
grep -q 'mine.*143' runs.txt
expect 2 raygan stop mine

say "resume, to an end: raygan's own exit code comes back"
at=$(python3 -c "import json; print(max(json.load(open('$runs/mine/run.json'))['steps'].values()))")
sed -i "s/\"steps\": 1000000/\"steps\": $((at + 50))/" "$runs/mine/config.json"
expect 0 raygan submit -- resume "$runs/mine"
expect 5 raygan submit -- train --preset ring8-gap --inline --steps 60 --name bad \
  --require modes=99 "${small[@]}"

say "fetch, and sample without a cluster"
expect 0 raygan fetch bad --to here
expect 0 raygan fetch mine --to here # by where its resumption found it
expect 0 raygan sample here/bad -n 64 -o x.npz
say "all of it did what README says"
