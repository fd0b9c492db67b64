# How ./check runs its steps: one after the other, or several at the same time. To be sourced by bash, after lib.sh.
# shellcheck shell=bash

# Of every step that has ended, in that order: a line for the summary; and the names of those that failed.
summary=()
failed=()
# Process groups of lanes that run.
lanes=()
# Of steps that run beside others: output in STEP.log, seconds and outcome in STEP.end.
logs=$target/check

# Runs a step in a shell of its own: it may leave at any point, and the others still run.
run_step() {
    printf '\n== %s\n' "$1"
    local started=$SECONDS outcome=ok
    ("step_$1") || outcome=FAILED
    finish "$1" $((SECONDS - started)) "$outcome"
}

# Takes down how a step ended: finish STEP SECONDS OUTCOME.
finish() {
    [ "$3" = ok ] || failed+=("$1")
    summary+=("$(printf '%-14s%5d s  %s' "$@")")
    printf -- '-- %s: %s, %d s\n' "$1" "$3" "$2"
}

# Runs lanes at the same time, and the steps of a lane (joined by +) one after the other. What a step prints is shown
# as a whole when it has ended, since lines of several at once could not be told apart.
run_lanes() {
    local lane left=() step
    mkdir -p "$logs"
    printf "\nat the same time: %s (output so far: %s/STEP.log)\n" "$*" "$logs"
    trap stop_lanes INT TERM HUP
    for lane in "$@"; do
        for step in ${lane//+/ }; do
            left+=("$step")
            rm -f "$logs/$step".*
        done
        # Monitor mode gives each lane a process group, by which all that it started can be ended.
        set -m
        run_lane "$lane" </dev/null &
        set +m
        lanes+=($!)
    done
    local running=yes said=$SECONDS
    while [ -n "$running" ]; do
        [ -n "$(jobs -r)" ] || running=
        show_ended
        if [ $((SECONDS - said)) -ge 60 ]; then
            said=$SECONDS
            printf -- '-- %d s, still to end: %s\n' "$SECONDS" "${left[*]}"
        fi
        sleep 1
    done
    wait
    trap - INT TERM HUP
    lanes=()
    for step in "${left[@]}"; do finish "$step" 0 FAILED; done
}

# Shows the steps of `left` that have ended, and takes them off it.
show_ended() {
    local step still=() seconds outcome
    for step in "${left[@]}"; do
        if [ -e "$logs/$step.end" ]; then
            read -r seconds outcome <"$logs/$step.end"
            printf '\n== %s\n' "$step"
            cat "$logs/$step.log"
            finish "$step" "$seconds" "$outcome"
        else
            still+=("$step")
        fi
    done
    left=("${still[@]}")
}

run_lane() {
    set +m
    # What computes leaves the cores to what has to keep up with a network. From within, before anything is started.
    case $1 in *lint* | *simulation*) renice -n 10 -p "$BASHPID" >/dev/null ;; esac
    local step started outcome
    for step in ${1//+/ }; do
        started=$SECONDS outcome=ok
        ("step_$step") >"$logs/$step.log" 2>&1 || outcome=FAILED
        # Under another name first: whoever looks shall not see half of it.
        echo "$((SECONDS - started)) $outcome" >"$logs/$step.ends"
        mv "$logs/$step.ends" "$logs/$step.end"
    done
}

# Ends all that runs in lanes, when ./check is asked to end.
stop_lanes() {
    trap - INT TERM HUP
    local group
    for group in "${lanes[@]}"; do kill -TERM -- "-$group" 2>/dev/null; done
    wait
    die "stopped before the end"
}
