import assert from 'node:assert/strict';
import { test } from 'node:test';
import { peersOf } from './traced-server.ts';

test('peers are read from what strace writes: connections, datagrams, unfinished calls, Unix sockets; not netlink', () => {
  const calls = [
    '12 connect(20, {sa_family=AF_INET, sin_port=htons(6379), sin_addr=inet_addr("127.0.0.1")}, 16) = -1 EINPROGRESS (Operation now in progress)',
    '12 connect(20, {sa_family=AF_INET, sin_port=htons(6379), sin_addr=inet_addr("127.0.0.1")}, 16) = 0',
    '13 connect(21, {sa_family=AF_INET6, sin6_port=htons(443), sin6_flowinfo=htonl(0), inet_pton(AF_INET6, "2001:db8::1", &sin6_addr), sin6_scope_id=0}, 28 <unfinished ...>',
    '13 <... connect resumed>) = -1 ENETUNREACH (Network is unreachable)',
    '14 sendto(22, "\\1\\2", 2, MSG_NOSIGNAL, {sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("192.0.2.1")}, 16) = 2',
    '15 sendmmsg(23, [{msg_hdr={msg_name={sa_family=AF_INET, sin_port=htons(53), sin_addr=inet_addr("192.0.2.2")}, msg_namelen=16, msg_iov=[]}}], 2, 0) = 2',
    '16 connect(24, {sa_family=AF_UNIX, sun_path="/var/run/nscd/socket"}, 110) = -1 ENOENT (No such file or directory)',
    '17 sendto(25, [{nlmsg_len=20}], 20, 0, {sa_family=AF_NETLINK, nl_pid=0, nl_groups=00000000}, 12) = 20',
    '18 sendto(26, "x", 1, 0, NULL, 0) = 1',
  ];
  assert.deepEqual(peersOf(calls.join('\n')), [
    '/var/run/nscd/socket',
    '127.0.0.1:6379',
    '192.0.2.1:53',
    '192.0.2.2:53',
    '[2001:db8::1]:443',
  ]);
});
