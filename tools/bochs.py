"""Bochs 2.7 as Debian has it: the configuration in which it boots Bulkhead, for
tools/run-bochs and the system tests. Neither X nor a display is needed (rfb
without a viewer), and COM1 is a TCP socket that Bochs waits for at its start."""

import socket

OVMF = "/usr/share/ovmf/OVMF.fd"  # the 2 MiB one: Bochs takes no larger ROM
VGABIOS = "/usr/share/vgabios/vgabios.bin"
CYLINDER = 16 * 63 * 512  # bytes; tools/mkimage makes a whole number of them

INTEL = "corei7_haswell_4770"
AMD = "ryzen"
SHORT = {"haswell": INTEL, "skylake_x": "corei7_skylake_x", "icelake_u": "corei7_icelake_u"}

# -rc: the stock binary has Bochs' debugger in it, which must be told to go on.
# -unlock: a Bochs that was killed leaves a lock beside its disk.
COMMAND = ["bochs-bin", "-unlock", "-q", "-f", "bochsrc", "-rc", "rc"]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def configure(folder, cylinders, port, model=INTEL, cpus=4, memory=1024, ips=50000000,
              sync="none", reset_on_triple_fault=0, survive=False):
    """Writes the two files that COMMAND reads; disk.img is expected beside them.
    model: Bochs' name (`bochs-bin -help cpu` lists them) or one of SHORT.
    memory: MiB, at most 2048. ips is also the TSC's frequency. sync: `none` lets an
    idle machine's time jump ahead, `slowdown` holds it back to real time.
    survive: Bochs goes on after a triple fault. Without VT-x it stops in its debugger and
    then panics even at a guest's, before it looks whether SHUTDOWN is intercepted; told
    to go on both times, it makes the right exit."""
    on_panic = "".join(f", cpu{i}=report" for i in range(cpus)) if survive else ""
    (folder / "bochsrc").write_text(f"""\
plugin_ctrl: unmapped=true, biosdev=true, speaker=false, extfpuirq=true, parallel=false, \
serial=true, gameport=false
config_interface: textconfig
display_library: rfb, options="timeout=0"
memory: guest={memory}, host={memory}
romimage: file="{OVMF}", address=0xffe00000, options=none
vgaromimage: file="{VGABIOS}"
vga: extension=vbe, update_freq=1
pci: enabled=1, chipset=i440fx
cpu: model={SHORT.get(model, model)}, count={cpus}, ips={ips}, \
reset_on_triple_fault={reset_on_triple_fault}, ignore_bad_msrs=1
clock: sync={sync}, time0=local
ata0: enabled=true, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=disk, path="disk.img", mode=flat, cylinders={cylinders}, heads=16, spt=63
boot: disk
com1: enabled=true, mode=socket-server, dev=localhost:{port}
port_e9_hack: enabled=0
log: bochs.log
panic: action=fatal{on_panic}
error: action=ignore
info: action=report
debug: action=ignore
magic_break: enabled=0
""")
    (folder / "rc").write_text("c\n" * (10000 if survive else 1))
