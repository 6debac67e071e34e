/*
 * The shell's command `crash`: the record of a VM's last crash, or of the panic
 * that ended the run before this one. Text from the record is shown as it is
 * but for control characters: after a reset it may be anything.
 */
#include "kernel/shell_crash.h"

#include "kernel/control.h"
#include "kernel/shell.h"

static void show(const char *text, u32 len)
{
	char line[160];
	u32 n = 0;

	for (u32 i = 0; i < len; i++) {
		char c = text[i];

		if (n == sizeof(line)) {
			shell_write(line, n);
			n = 0;
		}
		line[n++] = c == '\n' || (c >= ' ' && c <= '~') ? c : '?';
		if (c == '\n') {
			shell_write(line, n);
			n = 0;
		}
	}
	if (n)
		shell_write(line, n);
	if (len && text[len - 1] != '\n')
		shell_printf("\n");
}

static void show_host(void)
{
	u32 len, count = 0;
	const char *text = host_crash_text(&len);

	if (text) {
		shell_printf("the run before this one ended in a panic:\n");
		show(text, len);
	} else {
		shell_printf("host: no record of a panic in the run before this one\n");
	}
	for (u32 i = 0; i < vm_count(); i++)
		if (vm_crash_text(vm_at(i), &len))
			shell_printf("%s%s",
				     count++ ? ", " : "VMs that have crashed: ", vm_name(vm_at(i)));
	shell_printf(count ? "\n" : "no VM has crashed\n");
}

void cmd_crash(int argc, char **argv)
{
	const char *text;
	struct vm *vm;
	u32 len;

	if (argc < 2) {
		show_host();
		return;
	}
	vm = shell_find_vm(argv[1]);
	if (!vm)
		return;
	text = vm_crash_text(vm, &len);
	if (text)
		show(text, len);
	else
		shell_printf("%s has not crashed\n", argv[1]);
}
