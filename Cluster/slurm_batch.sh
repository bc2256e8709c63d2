#!/bin/bash
# Many scans as a SLURM job array: each task takes its own part of them, and none talks to another.
#
#     sbatch --array=1-20 Cluster/slurm_batch.sh INPUT OUT [options of hipposeg batch]
#
# INPUT is whatever `hipposeg batch` takes; OUT is one folder for all tasks, on a drive that all nodes see. The same
# command again does what is missing. To repeat single tasks, say how many parts there are:
#
#     PARTS=20 sbatch --array=3,7 Cluster/slurm_batch.sh INPUT OUT
#
# In a container: HIPPOSEG="apptainer exec hipposeg.sif hipposeg" sbatch ...
#SBATCH --job-name=hipposeg
#SBATCH --array=1-8
#SBATCH --cpus-per-task=4
#SBATCH --mem=2500M
#SBATCH --time=08:00:00
set -euo pipefail

if [ "$#" -lt 2 ]; then
    echo "usage: sbatch --array=1-N $0 INPUT OUT [options]" >&2
    exit 64
fi
input=$1 output=$2
shift 2
parts=${PARTS:-${SLURM_ARRAY_TASK_MAX:?this is a script for job arrays: sbatch --array=1-N}}
# The program is one word or several ("apptainer exec ..."): it is split on purpose.
# shellcheck disable=SC2086
exec ${HIPPOSEG:-hipposeg} batch "$input" -o "$output" --shard "$SLURM_ARRAY_TASK_ID/$parts" \
    --workers "${SLURM_CPUS_PER_TASK:-1}" "$@"
