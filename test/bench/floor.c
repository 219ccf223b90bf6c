// SPDX-License-Identifier: Apache-2.0

//go:build ignore

// The floor: the same LISTEN dump as qtune's, by as little C as does it. One
// socket, one 32 KiB buffer, one array that is used again, no allocation.
//
// It is started inside a network namespace. For each number N on its standard
// input it makes N dumps and answers with the 10th percentile of their duration
// in nanoseconds and the number of listeners of the last one.
//
// With two arguments, a rate in Hz and a number of seconds, it samples instead: a
// dump at each tick of the monotonic clock. Then it writes the CPU time that took in
// nanoseconds and the number of ticks.

#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ATTR_ULP_INFO 19 // newer than the headers of some distributions
#define ATTR_CGROUP_ID 21
#define ATTR_SOCKOPT 22
#define LISTEN 10

enum { HAS_DROPS = 1, V6ONLY = 2, MPTCP = 4, TRANSPARENT = 8, FULL_SOCKET = 16 };

// The fields of inetdiag.Socket.
struct sock {
	uint8_t family, state, flags;
	uint16_t port;
	uint32_t ifindex;
	uint8_t addr[16];
	uint64_t cookie, cgroup;
	uint32_t rqueue, wqueue, uid, inode, drops;
};

static struct sock *socks;
static size_t used, room;
static char buf[32 << 10] __attribute__((aligned(8)));

static void die(const char *what) { perror(what); exit(1); }
static void bad(const char *what) { fprintf(stderr, "floor: %s\n", what); exit(1); }

static uint64_t now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000000ull + t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
	return x < y ? -1 : x > y;
}

static int is_mptcp(const char *b, int len)
{
	for (int n; len >= 4; len -= NLA_ALIGN(n), b += NLA_ALIGN(n)) {
		const struct nlattr *a = (const void *)b;
		n = a->nla_len;
		if (n < 4 || n > len)
			return 0;
		if ((a->nla_type & NLA_TYPE_MASK) == 1) // INET_ULP_INFO_NAME
			return n == 4 + 6 && !memcmp(b + 4, "mptcp", 6);
	}
	return 0;
}

static void attribute(struct sock *s, int type, const char *v, int len)
{
	switch (type) {
	case INET_DIAG_SKMEMINFO:
		s->flags |= FULL_SOCKET;
		if (len >= 36) {
			memcpy(&s->drops, v + 32, 4);
			s->flags |= HAS_DROPS;
		}
		break;
	case ATTR_CGROUP_ID:
		if (len >= 8)
			memcpy(&s->cgroup, v, 8);
		break;
	case INET_DIAG_SKV6ONLY:
		if (len >= 1 && v[0])
			s->flags |= V6ONLY;
		break;
	case ATTR_SOCKOPT:
		s->flags |= FULL_SOCKET;
		if (len >= 1 && v[0] & 1 << 5)
			s->flags |= TRANSPARENT;
		break;
	case INET_DIAG_SHUTDOWN:
		s->flags |= FULL_SOCKET;
		break;
	case ATTR_ULP_INFO:
		if (is_mptcp(v, len))
			s->flags |= MPTCP;
	}
}

static void take(const struct nlmsghdr *m)
{
	const struct inet_diag_msg *d = NLMSG_DATA(m);
	int len = m->nlmsg_len - NLMSG_LENGTH(sizeof *d);
	if (len < 0)
		bad("message too short");
	if (used == room) {
		room = room ? 2 * room : 64;
		if (!(socks = realloc(socks, room * sizeof *socks)))
			die("realloc");
	}
	struct sock *s = &socks[used++];
	*s = (struct sock){
		.family = d->idiag_family, .state = d->idiag_state,
		.port = ntohs(d->id.idiag_sport), .ifindex = d->id.idiag_if,
		.cookie = d->id.idiag_cookie[0] | (uint64_t)d->id.idiag_cookie[1] << 32,
		.rqueue = d->idiag_rqueue, .wqueue = d->idiag_wqueue,
		.uid = d->idiag_uid, .inode = d->idiag_inode,
	};
	memcpy(s->addr, d->id.idiag_src, 16);
	const char *b = (const char *)(d + 1);
	for (int n; len >= 4; len -= NLA_ALIGN(n), b += NLA_ALIGN(n)) {
		const struct nlattr *a = (const void *)b;
		n = a->nla_len;
		if (n < 4 || n > len)
			bad("attribute too short");
		attribute(s, a->nla_type & NLA_TYPE_MASK, b + 4, n - 4);
	}
}

static void dump(int fd)
{
	static uint32_t seq;
	struct { struct nlmsghdr h; struct inet_diag_req r; } q = {
		.h = {
			.nlmsg_len = sizeof q, .nlmsg_type = TCPDIAG_GETSOCK,
			.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP, .nlmsg_seq = ++seq,
		},
		.r = { .idiag_ext = 1 << (INET_DIAG_SKMEMINFO - 1), .idiag_states = 1 << LISTEN },
	};
	if (send(fd, &q, sizeof q, 0) < 0)
		die("send");
	used = 0;
	for (;;) {
		int n = recv(fd, buf, sizeof buf, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			die("recv");
		for (struct nlmsghdr *m = (void *)buf; NLMSG_OK(m, n); m = NLMSG_NEXT(m, n)) {
			if (m->nlmsg_seq != seq)
				continue;
			if (m->nlmsg_flags & NLM_F_DUMP_INTR)
				bad("the dump was interrupted");
			if (m->nlmsg_type == NLMSG_DONE)
				return;
			if (m->nlmsg_type == NLMSG_ERROR)
				bad("the kernel refused the dump");
			take(m);
		}
	}
}

static int sample(int fd, long hz, long seconds)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	for (long i = 0; i < hz * seconds; i++) {
		t.tv_nsec += 1000000000 / hz;
		if (t.tv_nsec >= 1000000000) {
			t.tv_nsec -= 1000000000;
			t.tv_sec++;
		}
		while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR)
			;
		dump(fd);
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	printf("%llu %ld\n", t.tv_sec * 1000000000ull + t.tv_nsec, hz * seconds);
	return 0;
}

int main(int argc, char **argv)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
	if (fd < 0)
		die("socket");
	if (argc == 3)
		return sample(fd, atol(argv[1]), atol(argv[2]));
	for (int n; scanf("%d", &n) == 1 && n > 0;) {
		uint64_t *took = calloc(n, sizeof *took);
		if (!took)
			die("calloc");
		for (int i = 0; i < n; i++) {
			uint64_t begin = now();
			dump(fd);
			took[i] = now() - begin;
		}
		qsort(took, n, sizeof *took, by_size);
		printf("%llu %zu\n", (unsigned long long)took[n / 10], used);
		fflush(stdout);
		free(took);
	}
	return 0;
}
