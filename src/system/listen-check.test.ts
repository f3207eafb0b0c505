import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { checkSystem } from '../file/index.ts'
import { checkListenPorts, listenRefusal } from './listen-check.ts'

function listenersAt(...http: string[]): Parameters<typeof checkListenPorts>[0] {
  const checked = checkSystem({
    name: 'shop',
    edge: { listen: { http } },
    services: { web: { command: 'node web.mjs' } },
  })
  assert.ok(checked.ok)
  return checked.system.edge.listeners
}

test('every listener that can not be opened is named, and free ones are not', async t => {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const { port } = server.address() as { port: number }
  await checkListenPorts(listenersAt('127.0.0.1:0'))
  await assert.rejects(checkListenPorts(listenersAt(`127.0.0.1:${port}`, '192.0.2.1:8080')), {
    code: 'SYSTEM_PORT_TAKEN',
    message: new RegExp(
      `127\\.0\\.0\\.1:${port} \\(listener http\\) is taken.*192\\.0\\.2\\.1:8080 \\(listener http-2\\)`,
    ),
  })
  await assert.rejects(checkListenPorts(listenersAt('192.0.2.1:8080')), { code: 'EDGE_ADDRESS_UNKNOWN' })
})

test('a port that needs privileges is not told to be taken', () => {
  const place = '0.0.0.0:443 (listener https)'
  const refusal = listenRefusal([{ kind: 'forbidden', reason: 'needs privileges', place }])
  assert.equal(refusal.code, 'EDGE_PORT_FORBIDDEN')
  assert.equal(refusal.message, `The edge cannot listen: ${place} needs privileges.`)
  assert.match(refusal.kind.advice, /CAP_NET_BIND_SERVICE/)
})
