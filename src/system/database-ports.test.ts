import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type CheckedSystem, checkSystem } from '../file/index.ts'
import { seededRandom } from '../kit/random.ts'
import { checkDatabasePorts, openDatabasePorts } from './database-ports.ts'

function system(databases: object): CheckedSystem {
  const result = checkSystem({ name: 'shop', services: { api: { command: 'x' } }, databases })
  assert.ok(result.ok)
  return result.system
}

function state(t: TestContext): string {
  const path = mkdtempSync(join(tmpdir(), 'tf-ports-'))
  t.after(() => rmSync(path, { recursive: true }))
  return path
}

const random = seededRandom(process.pid)

async function listening(t: TestContext, port: number): Promise<number> {
  const holder = createServer()
  await new Promise<void>(resolve => holder.listen(port, '127.0.0.1', resolve))
  t.after(() => holder.close())
  return (holder.address() as { port: number }).port
}

test('each database that wants any port gets one of its own, and keeps it', async t => {
  const path = state(t)
  const ports = openDatabasePorts(path, random)
  await ports.choose(system({ a: {}, b: {}, c: { listen: 6432 } }))
  const { a, b, c } = ports.ports
  assert.ok(a && b && a !== b)
  assert.equal(c, undefined)
  const again = openDatabasePorts(path, random)
  await again.choose(system({ a: {}, b: {}, d: {} }))
  assert.deepEqual([again.ports.a, again.ports.b], [a, b])
  assert.ok(again.ports.d)
})

test('a port that somebody else has taken meanwhile is given up for another', async t => {
  const path = state(t)
  const ports = openDatabasePorts(path, random)
  await ports.choose(system({ a: {}, b: {} }))
  const { a, b } = ports.ports
  await listening(t, a as number)
  await ports.replaceTaken(system({ a: {}, b: {} }))
  assert.notEqual(ports.ports.a, a)
  assert.equal(ports.ports.b, b)
})

test('a taken port that the file names is one sentence', async t => {
  const port = await listening(t, 0)
  await assert.rejects(checkDatabasePorts(system({ main: { listen: port } })), {
    code: 'SYSTEM_PORT_TAKEN',
    message: new RegExp(`cannot listen for 'main': 127\\.0\\.0\\.1:${port}`),
  })
  await checkDatabasePorts(system({ main: {} }))
})
