/*
 * The TOML reader against Python's tomllib, which runs beside it
 * (tests/fuzz/toml_peer.py): what we take reads the same there; what we refuse
 * is refused there too, unless the complaint is that our subset leaves it out.
 * Complaints and nodes lie within the text. The peer is asked about many
 * documents at once, and answers while others are made: what it says names the
 * document, which is not the one that libFuzzer keeps then.
 */
// SOURCES: kernel/toml.c kernel/toml_scalar.c kernel/print.c
// FLAGS: -fno-sanitize-coverage=trace-cmp
// RUNS: 20000
// MAX_LEN: 200
#include <errno.h>
#include <unistd.h>

#include "fuzz.h"
#include "toml_dump.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);

static int to_peer, from_peer;
static u32 lines, complaints;
static bool subset; /* a complaint was about what we leave out */

/* libFuzzer's alarm interrupts system calls: all of them are tried again. */
static void send(const void *from, size_t n)
{
	for (const char *p = from; n;) {
		ssize_t done = write(to_peer, p, n);

		FUZZ_CHECK(done > 0 || (done < 0 && errno == EINTR));
		if (done > 0) {
			p += done;
			n -= (size_t)done;
		}
	}
}

static void receive_line(char *to, size_t size)
{
	size_t n = 0;

	while (n == 0 || to[n - 1] != '\n') {
		ssize_t done = read(from_peer, to + n, size - 1 - n);

		FUZZ_CHECK(done > 0 || (done < 0 && errno == EINTR));
		if (done > 0)
			n += (size_t)done;
		FUZZ_CHECK(n < size - 1);
	}
	to[n] = '\0';
}

#define BATCH (1u << 16)

static char batch[BATCH];
static size_t batched;
static bool waiting; /* for the answer to the batch before */

static void answered(void)
{
	char answer[8192];

	if (!waiting)
		return;
	waiting = false;
	receive_line(answer, sizeof(answer));
	if (strcmp(answer, "same\n") != 0) {
		fprintf(stderr, "%s", answer);
		__builtin_trap();
	}
}

static void hand_over(void)
{
	answered();
	batch[batched++] = '\n';
	send(batch, batched);
	batched = 0;
	waiting = true;
}

static void last_answer(void)
{
	hand_over();
	answered();
}

static void put(const void *from, size_t n)
{
	memcpy(batch + batched, from, n);
	batched += n;
}

static void ask(const uint8_t *data, size_t size, const char *json, size_t length)
{
	char head[64];
	int n = snprintf(head, sizeof(head), "%zu %zu\n", size, length);

	if (batched + (size_t)n + size + length > BATCH / 2)
		hand_over();
	FUZZ_CHECK((size_t)n + size + length < BATCH / 2);
	put(head, (size_t)n);
	put(data, size);
	if (json)
		put(json, length);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	int in[2], out[2];

	(void)argc;
	(void)argv;
	FUZZ_CHECK(pipe(in) == 0 && pipe(out) == 0);
	if (fork() == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		close(out[0]);
		execl("/usr/bin/python3", "python3", "-I", "tests/fuzz/toml_peer.py", (char *)NULL);
		_exit(1);
	}
	close(in[0]);
	close(out[1]);
	to_peer = in[1];
	from_peer = out[0];
	atexit(last_answer);
	return 0;
}

static void complain(struct toml *t, u32 line, u32 col, u32 table, const char *text)
{
	complaints++;
	FUZZ_CHECK(line >= 1 && line <= lines && col >= 1 && col <= t->len + 1);
	FUZZ_CHECK(table == TOML_NONE || (table < t->count && t->node[table].kind <= TOML_ELEMENT));
	FUZZ_CHECK(*text && strlen(text) < 300);
	subset |= strstr(text, "not used here") || strstr(text, "may hold") ||
		  strstr(text, "more than");
}

static void check_node(u32 i)
{
	const struct toml_node *n = &tree.node[i];
	u32 limit = tree.count, at = n->child, children = 0;

	FUZZ_CHECK(n->key <= tree.len && n->key_len <= tree.len - n->key);
	FUZZ_CHECK(n->value <= tree.len && n->value_len <= tree.len - n->value);
	for (; at != TOML_NONE; at = tree.node[at].next)
		FUZZ_CHECK(at < limit && at > i && ++children < limit); /* no circle */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *json = NULL;
	size_t length = 0;
	bool ok;

	lines = 1;
	for (size_t i = 0; i < size; i++)
		lines += data[i] == '\n';
	complaints = 0;
	subset = false;
	ok = toml_parse(&tree, (const char *)data, size, complain, NULL);
	FUZZ_CHECK(ok == (complaints == 0));
	FUZZ_CHECK(tree.count >= 1 && tree.count <= TOML_MAX_NODES);
	for (u32 i = 0; i < tree.count; i++)
		check_node(i);
	if (ok) {
		dump_to = open_memstream(&json, &length);
		FUZZ_CHECK(dump_to);
		put_root();
		fclose(dump_to);
	}
	if (ok || !subset)
		ask(data, size, json, length);
	free(json);
	return 0;
}
