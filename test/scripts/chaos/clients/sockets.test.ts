import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clientPorts, statusesOf } from '../../../../scripts/chaos/clients/sockets.ts';

test('the clients of a port are those of established connections whose local end it is', () => {
  const table = `  sl  local_address rem_address   st tx_queue rx_queue
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000
   1: 0100007F:1F90 0100007F:C350 01 00000000:00000000
   2: 0100007F:C350 0100007F:1F90 01 00000000:00000000
   3: 0100007F:1F90 0100007F:C351 05 00000000:00000000
`;
  assert.deepEqual([...clientPorts(table, 8080)], [50_000]);
});

test('the statuses of all responses in a text are read', () => {
  assert.deepEqual(statusesOf('HTTP/1.1 400 Bad Request\r\n\r\nHTTP/1.1 200 OK\r\n\r\n'), [400, 200]);
});
