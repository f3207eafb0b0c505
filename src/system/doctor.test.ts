import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { checkSystem, fileFailures } from '../file/index.ts'
import { Failure } from '../kit/failure.ts'
import {
  acceptQueue,
  clock,
  examineMachine,
  firstProcess,
  memory,
  nodeVersion,
  openFiles,
  portRange,
} from './doctor.ts'

test('an old Node fails, an older one than the fastest warns', () => {
  assert.deepEqual(
    ['20.11.0', '24.1.0', '26.10.0'].map(version => nodeVersion(version).level),
    ['fail', 'warn', 'ok'],
  )
})

test('the limit of open files is compared with what the file allows', () => {
  const limits = (soft: string): string =>
    `Limit  Soft Limit  Hard Limit  Units\nMax open files            ${soft}     4096   files\n`
  const levelOf = (soft: string, connections: number | null): string =>
    openFiles(limits(soft), connections).level
  assert.equal(levelOf('256', null), 'fail')
  assert.equal(levelOf('4096', null), 'warn')
  assert.equal(levelOf('65536', 10_000), 'ok')
  assert.equal(levelOf('65536', 100_000), 'warn')
  assert.equal(levelOf('unlimited', 100_000), 'ok')
  assert.equal(openFiles(null, null).level, 'warn')
})

test('memory, clock, accept queue and process 1 have their bounds', () => {
  const mb = 1024 ** 2
  assert.deepEqual(
    [32 * mb, 128 * mb, 1024 * mb].map(bytes => memory(bytes).level),
    ['fail', 'warn', 'ok'],
  )
  assert.equal(clock(0).level, 'fail')
  assert.equal(clock(Date.UTC(2030, 1)).level, 'ok')
  assert.deepEqual(
    ['128\n', '4096\n', null].map(text => acceptQueue(text).level),
    ['warn', 'ok', 'ok'],
  )
  assert.equal(firstProcess(1, 'linux').level, 'warn')
  assert.equal(firstProcess(2, 'linux').level, 'ok')
})

test('a listening port inside the range of outgoing connections is warned of', () => {
  const range = '32768\t60999\n'
  assert.equal(portRange(range, [8080]).level, 'ok')
  assert.match(portRange(range, [8080, 40_000]).text, /40000/)
  assert.equal(portRange('60000 60999', []).level, 'warn')
})

test('every finding that is not ok has a remedy; taken ports, open tokens and a wrong file are found', async t => {
  const holder = createServer()
  await new Promise<void>(resolve => holder.listen(0, '127.0.0.1', resolve))
  t.after(() => holder.close())
  const { port } = holder.address() as { port: number }
  const checked = checkSystem({
    name: 'shop',
    control: { listen: 0 },
    edge: { listen: { http: `127.0.0.1:${port}` } },
    services: { web: { command: 'node web.mjs' } },
  })
  assert.ok(checked.ok)
  const stateDirectory = mkdtempSync(join(tmpdir(), 'tf-doctor-'))
  t.after(() => rmSync(stateDirectory, { recursive: true }))
  writeFileSync(join(stateDirectory, 'token'), 'x')
  chmodSync(join(stateDirectory, 'token'), 0o644)
  const findings = await examineMachine({ system: checked.system, stateDirectory, fileProblem: null })
  const levelOf = (check: string): string | undefined => findings.find(one => one.check === check)?.level
  assert.equal(levelOf('port of http'), 'fail')
  assert.equal(levelOf('control port'), 'ok')
  assert.equal(levelOf('token'), 'fail')
  for (const { level, remedy, check } of findings) assert.equal(remedy !== '', level !== 'ok', check)

  const problem = new Failure(fileFailures.invalid, 'x.ts has 2 problems:\n...')
  const [first] = await examineMachine({ system: null, stateDirectory, fileProblem: problem })
  assert.equal(first?.level, 'fail')
  assert.equal(first?.text, 'x.ts has 2 problems:')
})
