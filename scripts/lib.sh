# shellcheck shell=bash disable=SC2034
# What the scripts here share: the packages they need, how they install and build. Sourced, never run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# Debian packages; the only place that lists them.
build_packages=(g++ cmake ninja-build libopenmpi-dev openmpi-bin libeigen3-dev libboost-program-options-dev libdnnl-dev
  libgtest-dev nlohmann-json3-dev zlib1g-dev libprotozero-dev)
mpich_packages=(mpich libmpich-dev)               # preset mpich; Debian keeps Open MPI as the default beside it
job_packages=(dataset-fashion-mnist gnuplot-nox)  # the main job: its data, its picture
pip_packages=(python3-pip python3-venv python3-setuptools python3-wheel python3-numpy)  # pip install .
# Experiments, models in use, Python; ecl as it is installed; emulated hosts; --dataset hdf5, which a build does without
# and then says so.
test_packages=(python3 "${pip_packages[@]}" python3-jinja2 python3-onnx python3-pytest iproute2 pkg-config libhdf5-dev)
package_packages=(dpkg-dev file libhdf5-dev)      # scripts/package; its --check wants debootstrap, too
slurm_packages=(slurm-wlm munge iproute2)         # tests on an emulated Slurm cluster, which skip aloud without them
notebook_packages=(python3-sklearn python3-pandas python3-matplotlib)  # tests of Python use them if they are there
report_packages=(python3-numpy python3-jinja2)    # ecl report
browser_packages=(chromium)                       # its test looks at the page in it, if it is there
bench_packages=(python3 dataset-fashion-mnist)    # declared experiments, comparisons
fashion_mnist_packages=(dataset-fashion-mnist)    # scripts/fetch-data
cifar10_packages=(python3-numpy python3-pil)      # the same
npm_packages=(npm)                                # the same, where npm does not come from elsewhere
picture_packages=(python3-matplotlib)             # their curves
torch_packages=(python3-torch libopenblas0)       # bench/models: what the models are compared with
sites_packages=(python3 r-base-core r-cran-mlmrev r-cran-modeldata)  # bench/sites: data of real sites, R to read it
fuzz_packages=(clang-16 libclang-rt-16-dev)       # scripts/fuzz; clang 14 has no std::source_location
lint_packages=(clang-format clang-tidy-16)        # scripts/lint

python=/usr/bin/python3  # Debian's, which finds Debian's matplotlib
[[ -x $python ]] || python=python3

fail() {
  echo "${0##*/}: $*" >&2
  exit 2
}

# The comment at the top of the calling script is its help.
usage() {
  sed -n '2,/^[^#]/ s/^# \{0,1\}//p' "$0"
  exit "${1:-0}"
}

# install_missing PACKAGE...: nothing is called when all are there, so that works offline and for any user.
install_missing() {
  local package missing=() as_root=() log
  command -v dpkg-query >/dev/null || return 0  # not Debian: CMake says what it misses
  for package; do
    [[ $(dpkg-query -W -f '${db:Status-Status} ' "$package" 2>/dev/null) == installed* ]] || missing+=("$package")
  done
  ((${#missing[@]})) || return 0

  if ((EUID != 0)); then
    sudo -n true 2>/dev/null ||
      fail "missing packages; as root: apt-get update && apt-get install --no-install-recommends ${missing[*]}"
    as_root=(sudo -n)
  fi
  echo "installing ${missing[*]}" >&2
  local apt=(env DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300)
  local install=("${as_root[@]}" "${apt[@]}" install -y --no-install-recommends "${missing[@]}")
  log=$("${install[@]}" 2>&1) && return  # else the package lists are old or not there
  log=$("${as_root[@]}" "${apt[@]}" update 2>&1 && "${install[@]}" 2>&1) && return
  echo "$log" >&2
  fail "cannot install ${missing[*]}"
}

# install_for PRESET [PACKAGE...]: what building that preset needs, and more.
install_for() {
  local preset=$1
  shift
  [[ $preset != mpich ]] || set -- "$@" "${mpich_packages[@]}"
  install_missing "${build_packages[@]}" "$@"
}

# build_tree PRESET [TARGET]: configures and builds; silent unless it fails or a terminal can show progress.
build_tree() {
  local directory log quiet=()
  directory=$(build_directory "$1")
  log=$(cd "$root" && cmake --preset "$1" 2>&1) || { echo "$log" >&2; return 1; }
  [[ -t 1 ]] || quiet=(-- --quiet)
  cmake --build "$directory" ${2:+--target "$2"} "${quiet[@]}"
}

build_directory() {
  [[ $1 == release ]] && echo "$root/build" || echo "$root/build-$1"
}

# mpirun on one machine: more ranks than cores, no remote shell, in a container too.
use_one_host() {
  export OMPI_MCA_rmaps_base_oversubscribe=1 OMPI_MCA_hwloc_base_binding_policy=none OMPI_MCA_plm=isolated
  if ((EUID == 0)); then export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1; fi
}

# Any script that sources this knows --help.
if [[ ${1-} == --help ]]; then usage; fi
