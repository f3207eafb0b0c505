import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { seededRandom } from '../kit/random.ts'
import { freePort } from './free-port.ts'

test('a free port can be bound, and one that is taken or given away is not named', async () => {
  const first = await freePort('127.0.0.1', seededRandom(3), new Set())
  // The same seed would name it again.
  const second = await freePort('127.0.0.1', seededRandom(3), new Set([first]))
  assert.notEqual(second, first)
  const server = createServer()
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(first, '127.0.0.1', resolve)
  })
  assert.notEqual(await freePort('127.0.0.1', seededRandom(3), new Set()), first)
  await new Promise(resolve => server.close(resolve))
})
