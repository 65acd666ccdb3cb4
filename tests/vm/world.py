# SPDX-License-Identifier: BSD-2-Clause
"""A world of a test's own, in which real guests run under a real libvirtd.

World: network, mount and process namespaces that the test script enters before anything else; all that
it starts and mounts is in there, and ends with it on every way out. /mnt is a tmpfs for the test's files.

Host: one machine in that world, with network and mount namespaces of its own, in which /run, /etc/libvirt,
/var/lib/libvirt and so on are its own folders. A private virtlogd and libvirtd run there at their default
places, and vswitchd. A folder of the host is seen from outside at Host.path("/run/...").

A test is a script of scenarios, functions that take what the script has set up, in their order:

    @scenario("guests ping each other")
    def ping(bed): ...

    main(set_up)        # set_up(world) returns what the scenarios take

Each prints "ok - NAME", or "not ok - NAME" with the reason, which is a Failure. check() inside a scenario
raises one. Nothing waits for a fixed time where there is something to wait for: see wait_for().
"""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
import uuid

BUILD = os.environ.get("top_builddir", os.getcwd())
SOURCE = os.environ.get("top_srcdir", os.path.dirname(os.path.dirname(os.path.dirname(
    os.path.abspath(__file__)))))
VSWITCHD = os.path.join(BUILD, "vswitchd/vswitchd")
VSWITCHCTL = os.path.join(BUILD, "ctl/vswitchctl")
GUEST_IMAGE = os.path.join(BUILD, "tests/vm/guest")
ROOT = "/mnt"  # a tmpfs inside the world
# folders that each host has for itself
PRIVATE = ("/run", "/etc/libvirt", "/var/lib/libvirt", "/var/cache/libvirt", "/var/log/libvirt")
NEEDED = (("qemu-system-x86_64", "qemu-system-x86"), ("libvirtd", "libvirt-daemon"),
          ("virtlogd", "libvirt-daemon"), ("virsh", "libvirt-clients"), ("ip", "iproute2"),
          ("unshare", "util-linux"), ("ping", "iputils-ping"), ("iperf3", "iperf3"),
          ("setpriv", "util-linux"), ("busybox", "busybox-static"))
QEMU_USER = "libvirt-qemu"
ACCOUNTS = {"/etc/passwd": "x:64055:64055::/var/lib/libvirt:/usr/sbin/nologin",
            "/etc/group": "x:64055:"}
QEMU_DRIVER = "/usr/lib/x86_64-linux-gnu/libvirt/connection-driver/libvirt_driver_qemu.so"


class Failure(Exception):
    """Something is not as the test says it must be."""


def check_refused(words, function, *arguments):
    """It fails, and says each of the words."""
    try:
        function(*arguments)
    except Failure as failure:
        missing = [word for word in words if word not in str(failure)]
        check(not missing, f"{missing} not said in: {failure}")
        return
    raise Failure(f"{arguments}: not refused")


def check(condition, text):
    if not condition:
        raise Failure(text)


def run(command, timeout=60, ok=True, text=None):
    """Output of a command; ok: raise Failure if it does not exit with 0; text: its standard input."""
    try:
        done = subprocess.run(command, input=text, stdout=subprocess.PIPE, timeout=timeout,
                              stderr=subprocess.STDOUT, encoding="utf-8", errors="replace",
                              stdin=None if text is not None else subprocess.DEVNULL, check=False)
    except subprocess.TimeoutExpired as late:
        raise Failure(f"{' '.join(command)}: not done after {timeout} s") from late
    if ok and done.returncode:
        raise Failure(f"{' '.join(command)}: status {done.returncode}: {done.stdout.strip()}")
    return done.stdout


def wait_for(what, test, timeout=60.0, interval=0.1):
    """Poll until test() is true, and return what it gave; a Failure inside it means not yet."""
    end = time.monotonic() + timeout
    while True:
        reason = ""
        try:
            value = test()
            if value:
                return value
        except Failure as failure:
            reason = f" ({failure})"
        if time.monotonic() > end:
            raise Failure(f"{what}: not after {timeout:g} s{reason}")
        time.sleep(interval)


def skip(reason):
    """This machine cannot run the test."""
    print(f"skipped: {reason}")
    sys.exit(77)


# ---- scenarios --------------------------------------------------------------------------------------

SCENARIOS = []


def scenario(name):
    """Appends the function to what main() runs."""
    def add(function):
        SCENARIOS.append((name, function))
        return function
    return add


def run_scenario(name, function, bed):
    """Whether it passed."""
    started = time.monotonic()
    try:
        function(bed)
    except (Failure, OSError, ValueError, LookupError) as problem:
        print(f"not ok - {name}")
        print("  " + (str(problem) or repr(problem)).replace("\n", "\n  "))
        if not isinstance(problem, Failure):
            traceback.print_exc(file=sys.stdout)
        return False
    print(f"ok - {name} ({time.monotonic() - started:.1f} s)")
    return True


def main(set_up):
    """Runs the scenarios, or those whose names contain one of the arguments."""
    sys.stdout.reconfigure(line_buffering=True)
    failed, bed = False, []
    with World() as world:
        if not run_scenario("guests boot", lambda bed: bed.append(set_up(world)), bed):
            failed = True
        else:
            for name, function in SCENARIOS:
                if not sys.argv[1:] or any(word in name for word in sys.argv[1:]):
                    failed |= not run_scenario(name, function, bed[0])
        if any(host.switch for host in world.hosts.values()) and not run_scenario(
                "all switches stop cleanly", World.stop_switches, world):
            failed = True
        if failed:
            world.show_logs()
    sys.exit(int(failed))


# ---- the world --------------------------------------------------------------------------------------


def enter_namespaces():
    """Go on in namespaces of our own. The shell is their first process and reaps orphans, or libvirtd would
    wait for its QEMU to be gone until it gives up."""
    if os.environ.get("VM_TEST_ISOLATED"):
        return
    if os.geteuid():
        skip("needs root")
    for command, package in NEEDED:
        if not shutil.which(command):
            skip(f"there is no {command} (apt-get install {package})")
    if not os.path.exists(QEMU_DRIVER):
        skip(f"there is no {QEMU_DRIVER} (apt-get install libvirt-daemon-driver-qemu)")
    unshare = ["unshare", "--net", "--mount", "--pid"]
    if subprocess.run([*unshare, "true"], stderr=subprocess.DEVNULL, check=False).returncode:
        skip("the kernel does not let us make namespaces")
    built = subprocess.run(["bash", os.path.join(SOURCE, "tests/vm/build_guest.sh"), GUEST_IMAGE],
                           check=False)
    if built.returncode:
        sys.exit(built.returncode)
    sys.stdout.flush()
    os.environ["VM_TEST_ISOLATED"] = "1"
    os.execvp("unshare", [*unshare, "--fork", "--kill-child", "--mount-proc", "bash", "-c",
                          '"$@"; exit $?', "bash", sys.executable, *sys.argv])


class Daemon:
    """A child that runs in the foreground, with its output in a file."""

    def __init__(self, name, command, log):
        self.name = name
        self.log = log
        with open(log, "ab") as output:
            self.child = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT,
                                          stdin=subprocess.DEVNULL)
        self.pid = self.child.pid

    def alive(self):
        return self.child.poll() is None

    def check_alive(self):
        if not self.alive():
            raise Failure(f"{self.name} ended, status {self.child.returncode}: {self.tail(3)}")

    def tail(self, lines=40):
        with open(self.log, encoding="utf-8", errors="replace") as log:
            return "".join(log.readlines()[-lines:])

    def stop(self, number=signal.SIGTERM, timeout=60):
        """Exit status; a daemon that does not stop is killed, and that is a Failure."""
        if self.alive():
            self.child.send_signal(number)
            try:
                self.child.wait(timeout)
            except subprocess.TimeoutExpired as late:
                self.child.kill()
                self.child.wait()
                raise Failure(f"{self.name} does not stop within {timeout} s") from late
        return self.child.returncode


class World:
    """See the top of this file."""

    def __init__(self):
        enter_namespaces()
        self.hosts = {}
        self.daemons = []

    def __enter__(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda number, _frame: sys.exit(128 + number))
        run(["mount", "-t", "tmpfs", "tmpfs", ROOT])
        run(["mount", "-t", "tmpfs", "tmpfs", "/run"])
        os.mkdir("/run/netns")
        run(["ip", "link", "set", "lo", "up"])
        return self

    def __exit__(self, kind, value, trace):
        for host in self.hosts.values():
            host.end()
        for daemon in reversed(self.daemons):
            with contextlib.suppress(Failure):
                daemon.stop(timeout=10)
        return False

    def stop_switches(self):
        """They must be there, and end with status 0."""
        for host in self.hosts.values():
            if host.switch:
                host.stop_switch()

    def show_logs(self):
        # one that was started again goes on in the same file
        for daemon in {daemon.log: daemon for daemon in self.daemons}.values():
            print(f"--- {daemon.name}, {'running' if daemon.alive() else daemon.child.returncode}")
            print(daemon.tail())

    def start(self, name, command):
        daemon = Daemon(name, command, f"{ROOT}/{name}.log")
        self.daemons.append(daemon)
        return daemon

    def add_host(self, name):
        self.hosts[name] = Host(self, name)
        return self.hosts[name]


class Host:
    """See the top of this file. libvirt connects to it from outside by Host.uri."""

    def __init__(self, world, name):
        self.world = world
        self.name = name
        self.root = f"{ROOT}/{name}"
        self.logd = self.libvirtd = self.switch = None
        for folder in PRIVATE:
            os.makedirs(self.root + folder)
            os.makedirs(folder, exist_ok=True)
        self._add_qemu_user()
        binds = "\n".join(f"mount --bind {self.root}{place} {place} || exit"
                          for place in (*PRIVATE, *ACCOUNTS))
        os.makedirs(self.path("/run/netns"))
        # the shell holds the namespaces; it is there when it has said so
        self.holder = world.start(f"{name}-holder", [
            "unshare", "--mount", "--net", "--uts", "bash", "-c",
            f"{binds}\nhostname {name}\nip link set lo up\nmount -t bpf bpf /sys/fs/bpf\n"
            f"echo ready\nexec sleep infinity"])
        wait_for(f"namespaces of {name}", lambda: "ready" in self.holder.tail(1))
        self.inside = ["nsenter", "--mount", "--net", "--uts", f"--target={self.holder.pid}", "--"]
        self.uri = f"qemu+unix:///system?socket={self.path('/run/libvirt/libvirt-sock')}"

    def path(self, inside):
        """Where a file under one of PRIVATE is seen from outside."""
        return self.root + inside

    def run(self, *command, **options):
        return run([*self.inside, *map(str, command)], **options)

    def start(self, name, *command):
        daemon = Daemon(f"{name} on {self.name}", [*self.inside, *map(str, command)],
                        f"{ROOT}/{self.name}-{name}.log")
        self.world.daemons.append(daemon)
        return daemon

    # ---- libvirt

    def _add_qemu_user(self):
        """libvirtd does not start without the user and group that Debian built it for, though its
        configuration names others; they come with a package that starts services."""
        os.makedirs(f"{self.root}/etc", exist_ok=True)
        for place, entry in ACCOUNTS.items():
            with open(place, encoding="utf-8") as accounts:
                text = accounts.read()
            if f"\n{QEMU_USER}:" not in text:
                text += f"{QEMU_USER}:{entry}\n"
            with open(self.root + place, "w", encoding="utf-8") as out:
                out.write(text)

    def start_libvirt(self):
        # libvirt migrates between machines alone, which it knows by this
        self._write("/etc/libvirt/libvirtd.conf", f'host_uuid = "{uuid.uuid4()}"\nlog_level = 3\n'
                    'auth_unix_rw = "none"\nunix_sock_group = "root"\n')
        self._write("/etc/libvirt/virtlogd.conf", "")
        self._write("/etc/libvirt/qemu.conf", 'user = "root"\ngroup = "root"\n'
                    'security_driver = "none"\nnamespaces = []\ncgroup_controllers = []\n'
                    'dynamic_ownership = 0\nremember_owner = 0\n')
        # without the drivers of networks, firewall rules and storage
        drivers = f"{self.root}/drivers"
        os.makedirs(drivers)
        os.symlink(QEMU_DRIVER, f"{drivers}/libvirt_driver_qemu.so")
        self.logd = self.start("virtlogd", "virtlogd")
        self.start_libvirtd()

    def start_libvirtd(self):
        self.libvirtd = self.start("libvirtd", "env", "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
                                   f"LIBVIRT_DRIVER_DIR={self.root}/drivers", "libvirtd")

        def answers():
            self.libvirtd.check_alive()
            return self.virsh("version", timeout=20)
        wait_for("libvirtd answers", answers, 90)

    def stop_libvirtd(self, number=signal.SIGTERM):
        return self.libvirtd.stop(number)

    def virsh(self, *command, **options):
        return run(["virsh", "--quiet", "-c", self.uri, *map(str, command)], **options)

    def _write(self, path, text):
        os.makedirs(os.path.dirname(self.path(path)), exist_ok=True)
        with open(self.path(path), "w", encoding="utf-8") as out:
            out.write(text)

    # ---- the switch

    def start_switch(self, *options):
        self.switch = self.start("vswitchd", VSWITCHD, "--foreground", "--rundir", "/run/vswitch",
                                 "--statedir", "/var/lib/libvirt/vswitch", *options)

        def answers():
            self.switch.check_alive()
            return self.ctl("version")
        wait_for("vswitchd answers", answers)

    def stop_switch(self):
        self.switch.check_alive()
        status = self.switch.stop()
        check(status == 0, f"vswitchd on {self.name} ended with status {status}")

    def kill_switch(self):
        self.switch.stop(signal.SIGKILL)

    def ctl(self, *command, **options):
        return self.run(VSWITCHCTL, "--rundir", "/run/vswitch", *command, **options)

    def ctl_json(self, *command):
        return json.loads(self.ctl("--json", *command))

    def counters(self, port, bridge="br0"):
        return self.ctl_json("dump-ports", bridge, port)["ports"][0]

    def ports(self, bridge="br0"):
        return self.ctl("list-ports", bridge).split()

    def balance(self):
        """Packets in and copies less packets out and counted drops, over all ports: 0 at rest."""
        sums = self.ctl_json("drops")
        return sums["rx_packets"] + sums["copies"] - sums["tx_packets"] - sums["dropped"]

    def check_balance(self):
        wait_for("in and out are equal", lambda: self.balance() == 0, 10)

    # ---- containers

    def add_container(self, name):
        self.run("ip", "netns", "add", name)
        self.in_container(name, "ip", "link", "set", "lo", "up")

    def in_container(self, name, *command, **options):
        return self.run("nsenter", f"--net=/run/netns/{name}", *command, **options)

    def start_in_container(self, name, program, *command):
        return self.start(program, "nsenter", f"--net=/run/netns/{name}", program, *command)

    # ---- the end

    def end(self):
        """Guests first: a QEMU is a child of nobody here."""
        with contextlib.suppress(Failure):
            for domain in self.virsh("list", "--name", timeout=20).split():
                self.virsh("destroy", domain, ok=False)
