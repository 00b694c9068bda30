"""The packages of scripts/package: the units by systemd's own judgement, the tarball's programs in an empty root, and the
Debian package in a system that has nothing else, made by debootstrap."""

import os
import re
import shutil
import subprocess
import tarfile

import pytest
from harness import BUILD, ROOT, Process, free_port, sanitized, wait_for
from http1 import Client

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root may change roots"),
    pytest.mark.skipif(sanitized(), reason="packages have builds of their own"),
]
PROGRAMS = ["weir-coordinator", "weir-mock-provider", "weir-node", "weirctl"]
# Of 10, where 10 is a service that may do all that root may; what is left is a network and a port below 1024.
EXPOSURE_MAX = 2.0


def run(*argv, **options):
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, stdin=subprocess.DEVNULL, **options)
    assert done.returncode == 0, f"{argv}: {done.stdout[-4000:]}{done.stderr[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def packages():
    """(the Debian package, the tarball), made anew."""
    made = re.findall(r"(build/packages/\S+)", run(ROOT / "scripts/package", cwd=ROOT))
    (deb,) = [ROOT / m for m in made if m.endswith(".deb")]
    (tarball,) = [ROOT / m for m in made if m.endswith(".tar.gz")]
    return deb, tarball


@pytest.fixture(scope="module")
def unpacked(packages, tmp_path_factory):
    folder = tmp_path_factory.mktemp("deb")
    run("dpkg-deb", "-x", packages[0], folder)
    return folder


@pytest.fixture(scope="module")
def system(tmp_path_factory):
    """The root of a Debian as small as it gets, of this machine's version; kept in the build folder, and used by copy."""
    codename = re.search(r"^VERSION_CODENAME=(\w+)", open("/etc/os-release").read(), re.M).group(1)
    kept = BUILD / f"clean-{codename}.tar"
    root = tmp_path_factory.mktemp("system") / "root"
    if kept.exists():
        root.mkdir()
        run("tar", "-C", root, "-xf", kept)
    else:
        run("debootstrap", "--variant=minbase", codename, root)
        run("tar", "-C", root, "--exclude=./var/cache/apt/archives/*.deb", "-cf", f"{kept}.new", ".")
        os.rename(f"{kept}.new", kept)
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    return root


def in_root(root, *argv):
    return run("chroot", root, "env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", *argv)


@pytest.mark.parametrize("unit", ["weir-node", "weir-coordinator"])
def test_units_are_sound_and_hardened(unpacked, tmp_path, unit):
    text = (unpacked / f"usr/lib/systemd/system/{unit}.service").read_text()
    assert f"ExecStart=/usr/bin/{unit} -c /etc/weir/weir.yaml" in text
    path = tmp_path / f"{unit}.service"
    path.write_text(text.replace("/usr/bin/", f"{unpacked}/usr/bin/"))
    done = subprocess.run(["systemd-analyze", "verify", "--man=no", path], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    judged = subprocess.run(["systemd-analyze", "security", "--offline=true", path], capture_output=True, text=True).stdout
    exposure = float(re.search(r"Overall exposure level for \S+: ([\d.]+)", judged).group(1))
    assert exposure <= EXPOSURE_MAX, judged


def test_the_user_is_one_that_sysusers_makes(unpacked, tmp_path):
    (tmp_path / "etc").mkdir()
    run("systemd-sysusers", f"--root={tmp_path}", unpacked / "usr/lib/sysusers.d/weir.conf")
    assert re.search(r"^weir:x:\d+:\d+:weir:/nonexistent:/usr/sbin/nologin$", (tmp_path / "etc/passwd").read_text(), re.M)


def test_the_package_holds_what_it_should(unpacked):
    for name in PROGRAMS:
        assert os.access(unpacked / f"usr/bin/{name}", os.X_OK)
        assert (unpacked / f"usr/share/man/man1/{name}.1").exists()
        assert (unpacked / f"usr/share/bash-completion/completions/{name}").exists()
        assert (unpacked / f"usr/share/zsh/vendor-completions/_{name}").exists()
        assert (unpacked / f"usr/share/fish/vendor_completions.d/{name}.fish").exists()


def test_the_tarball_needs_nothing(packages, stage, mock):
    """In a root that holds the program and its configuration: no libraries, no /proc, no /etc."""
    root = stage.scratch / "root"
    with tarfile.open(packages[1]) as tar:
        tar.extractall(root)
    (top,) = os.listdir(root)
    assert sorted(os.listdir(root / top / "bin")) == PROGRAMS
    for name in PROGRAMS:
        assert "weir" in run("chroot", root, f"/{top}/bin/{name}", "--version")
    port = free_port()
    (root / "weir.yaml").write_text(f'server: {{listen: "127.0.0.1:{port}"}}\nproviders: {{mock: {{base_url: "{mock.url}"}}}}\n')
    node = Process(["chroot", root, f"/{top}/bin/weir-node", "-c", "/weir.yaml"], stage.scratch, "node")
    stage.running.append(node.finish)

    def served():
        assert node.alive(), node.log
        with Client(port) as c:
            return c.get("/echo").status == 200

    wait_for(served, "a request to be served")


class Installed(Process):
    """weir-node as its unit would run it, in a network of its own, where its port is free."""

    def __init__(self, stage, root):
        self.root = root
        enter = f'ip link set lo up && mount -t proc proc "{root}/proc" && exec chroot "{root}" "$@"'
        argv = ["unshare", "--net", "--mount", "sh", "-ec", enter, "sh"]
        as_weir = ["setpriv", "--reuid=weir", "--regid=weir", "--clear-groups", "--no-new-privs"]
        super().__init__([*argv, *as_weir, "weir-node", "-c", "/etc/weir/weir.yaml"], stage.scratch, "installed")
        stage.running.append(self.finish)

    def weirctl(self, *args):
        return run("nsenter", "-t", self.pid, "--net", "chroot", self.root, "weirctl", *args)


def test_the_package_installs_runs_and_goes(packages, system, stage):
    deb, _ = packages
    shutil.copy(deb, system / "weir.deb")
    in_root(system, "apt-get", "update", "-qq")
    in_root(system, "apt-get", "install", "-y", "-qq", "--no-install-recommends", "/weir.deb")

    # What the units run is there.
    for unit in ("weir-node", "weir-coordinator"):
        text = (system / f"usr/lib/systemd/system/{unit}.service").read_text()
        programs = re.findall(r"^Exec\w+=(\S+)", text, re.M)
        assert len(programs) == 2
        in_root(system, "ls", *programs)

    # Keys are nobody else's to read; the service's user reads them, and may change nothing.
    weir = in_root(system, "id", "-u", "weir").strip()
    assert in_root(system, "stat", "-c", "%U:%G %a", "/etc/weir", "/etc/weir/weir.yaml").split("\n")[:2] == [
        "root:weir 750",
        "root:weir 640",
    ]
    node = Installed(stage, system)
    pools = wait_for(lambda: node.alive() and node.weirctl("pools"), "the node to show its pools")
    assert "openai" in pools and "anthropic" in pools
    assert re.search(rf"^Uid:\s+{weir}\b", open(f"/proc/{node.pid}/status").read(), re.M)
    assert node.stop() == 0

    # What was changed by hand is kept through another installation, and a mode too.
    (system / "etc/weir/weir.yaml").write_text("providers: {openai: {}}\n")
    in_root(system, "chmod", "600", "/etc/weir/weir.yaml")
    in_root(system, "dpkg", "-i", "/weir.deb")
    assert (system / "etc/weir/weir.yaml").read_text() == "providers: {openai: {}}\n"
    assert in_root(system, "stat", "-c", "%a", "/etc/weir/weir.yaml").strip() == "600"

    in_root(system, "apt-get", "purge", "-y", "-qq", "weir")
    assert not (system / "etc/weir").exists() and not (system / "usr/bin/weir-node").exists()
