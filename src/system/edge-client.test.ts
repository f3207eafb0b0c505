import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { ControlEvent, ControlRequest } from '../edge/control-protocol.ts'
import type { Failure } from '../kit/failure.ts'
import { connectEdge, type EdgeClient } from './edge-client.ts'

interface Connected {
  readonly client: EdgeClient
  readonly events: ControlEvent[]
  readonly ended: () => number
}

/** A client connected to a peer that answers each request as the test says. */
async function connected(
  t: TestContext,
  answer: (request: ControlRequest, socket: Socket) => void,
): Promise<Connected> {
  const folder = mkdtempSync(join(tmpdir(), 'tf-edge-client-'))
  const path = join(folder, 's.sock')
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.on('data', chunk => {
      for (const line of String(chunk).trim().split('\n')) answer(JSON.parse(line) as ControlRequest, socket)
    })
  })
  await new Promise<void>(resolve => server.listen(path, resolve))
  const events: ControlEvent[] = []
  let ends = 0
  const client = await connectEdge(path, {
    onEvent: event => events.push(event),
    onEnd: () => {
      ends += 1
    },
  })
  t.after(() => {
    client.close()
    for (const socket of sockets) socket.destroy()
    server.close()
    rmSync(folder, { recursive: true })
  })
  return { client, events, ended: () => ends }
}

const reply = (socket: Socket, value: object): boolean => socket.write(`${JSON.stringify(value)}\n`)

test('each call gets its own answer, in whatever order they come, and events come between', async t => {
  const held: ControlRequest[] = []
  const { client, events } = await connected(t, (request, socket) => {
    held.push(request)
    if (held.length < 2) return
    reply(socket, { event: 'decision', at: 1, subject: 'web/web-1', text: 'ejected' })
    for (const { id, method } of held.reverse()) reply(socket, { id, result: { text: method } })
  })
  const [metrics, logs] = await Promise.all([client.call('metrics', {}), client.call('reopenLogs', {})])
  assert.deepEqual([metrics, logs], [{ text: 'metrics' }, { text: 'reopenLogs' }])
  assert.equal(events[0]?.text, 'ejected')
})

test('a refusal carries the code and the words of the edge', async t => {
  const { client } = await connected(t, ({ id }, socket) =>
    reply(socket, { id, error: { code: 'EDGE_SNAPSHOT_OLD', message: 'Snapshot 3 is old.' } }),
  )
  await assert.rejects(client.call('status', {}), {
    code: 'SYSTEM_EDGE_FAILED',
    message: /EDGE_SNAPSHOT_OLD.*Snapshot 3 is old/,
  })
})

test('a refusal gives the advice for what it is; what was asked wrongly has its own code', async t => {
  const answers: Record<string, { code: string; message: string }> = {
    status: { code: 'EDGE_PORT_TAKEN', message: 'Port 80 is taken.' },
    canary: { code: 'EDGE_CANARY_UNKNOWN', message: 'There is no route.' },
  }
  const { client } = await connected(t, ({ id, method }, socket) =>
    reply(socket, { id, error: answers[method] }),
  )
  await assert.rejects(client.call('status', {}), (cause: Failure) => {
    assert.equal(cause.code, 'SYSTEM_EDGE_FAILED')
    assert.match(cause.kind.advice, /another port/)
    return true
  })
  await assert.rejects(client.call('canary', { route: '/', action: 'stop' }), {
    code: 'EDGE_CANARY_UNKNOWN',
    message: 'There is no route.',
  })
})

test('an edge that goes away fails every call that waits, once', async t => {
  const { client, ended } = await connected(t, (_, socket) => socket.destroy())
  const calls = await Promise.allSettled([client.call('status', {}), client.call('metrics', {})])
  for (const call of calls) {
    assert.equal(call.status === 'rejected' && call.reason.code, 'SYSTEM_EDGE_UNREACHABLE')
  }
  assert.equal(ended(), 1)
  await assert.rejects(client.call('status', {}), { code: 'SYSTEM_EDGE_UNREACHABLE' })
})

test('an edge that stays silent is given up', async t => {
  const { client, ended } = await connected(t, () => {})
  await assert.rejects(client.call('status', {}, 30), {
    code: 'SYSTEM_EDGE_UNREACHABLE',
    message: /no answer/,
  })
  assert.equal(ended(), 1)
})

test('nobody there is told as unreachable', async () => {
  const nobody = { onEvent: () => {}, onEnd: () => {} }
  await assert.rejects(connectEdge('/no/such/socket', nobody), { code: 'SYSTEM_EDGE_UNREACHABLE' })
})
