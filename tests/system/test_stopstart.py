"""Twenty rounds of starting and stopping lose no page."""

from harness import LINUX_FILES, Machine, config, linux, vm


def test_twenty_rounds():
    text = config(vm("one", cpu=1, memory="64M", kernel="neighbour.elf"),
                  vm("two", cpu=2, memory="32M", kernel="hello.elf"),
                  linux("three", 3, "128M", autostart=False))
    with Machine(text, LINUX_FILES + ["neighbour.elf", "hello.elf"]) as m:
        free = m.free_memory()
        before = m.command("mem")
        for i in range(20):
            m.command("start one")
            m.command("start three")
            m.command("start two")
            m.wait_state("two", "exit", 20)
            m.command("reset one")
            m.command("stop one")
            m.command("stop three")
            assert m.free_memory() == free, f"round {i}"
        assert m.command("mem").split("MACHINE")[0] == before.split("MACHINE")[0]
