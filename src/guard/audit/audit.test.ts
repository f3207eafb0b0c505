import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import {
  appendFileSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { RequestRecord } from '../messages.ts'
import { AuditLog, auditFilesMax, auditPath } from './audit-log.ts'
import { type AuditVerdict, recordInLog, verifyLog } from './read.ts'

const spec = { file: null, bytesMax: 64 << 20, sample: 1 }

interface Trial {
  readonly folder: string
  readonly path: string
  readonly told: string[]
  open(change?: Partial<typeof spec>): Promise<AuditLog>
  verify(): Promise<AuditVerdict>
  lines(): Record<string, unknown>[]
}

function trial(t: TestContext): Trial {
  const folder = mkdtempSync(join(tmpdir(), 'tf-audit-'))
  const path = auditPath(spec, folder)
  const logs: AuditLog[] = []
  const told: string[] = []
  t.after(async () => {
    for (const log of logs) await log.close()
    rmSync(folder, { recursive: true })
  })
  return {
    folder,
    path,
    told,
    open: async change => {
      const log = new AuditLog(text => told.push(text))
      logs.push(log)
      await log.take({ ...spec, ...change }, folder)
      return log
    },
    verify: () => verifyLog(path, auditFilesMax),
    lines: () =>
      readFileSync(path, 'utf8')
        .split('\n')
        .slice(0, -1)
        .map(line => JSON.parse(line) as Record<string, unknown>),
  }
}

const record = (id: string): RequestRecord => ({
  id,
  atMs: 1_700_000_000_000,
  policy: 'trial',
  route: '/*',
  method: 'GET',
  host: 'shop.example',
  path: '/',
  address: '192.0.2.7',
  account: '',
  session: '',
  key: '',
  outcome: 'refused',
  status: 403,
  code: 'NO',
  risk: 0,
  riskReasons: [],
  findings: [{ step: 'trial', rule: 'rule-1', text: 'noticed', detected: false }],
})

test('lines that were written fit each other; a record is found by its id, in a later process too', async t => {
  const { open, verify, path } = trial(t)
  const log = await open()
  for (let i = 0; i < 500; i++) log.record(record(`r-${i}`))
  await log.close()
  const next = await open()
  next.record(record('r-500'))
  await next.close()
  const verdict = await verify()
  assert.deepEqual(
    [verdict.lines, verdict.chains, verdict.open, verdict.torn, verdict.troubles],
    [505, 2, [], 0, []],
  )
  assert.deepEqual(await recordInLog(path, auditFilesMax, 'r-77'), record('r-77'))
  assert.equal(await recordInLog(path, auditFilesMax, 'r-7777'), null)
})

test('every change is noticed: a character, a line that is missing, two that changed places, one that was added, a chain cut out', async t => {
  const { open, verify, path } = trial(t)
  for (const name of ['a', 'b', 'c']) {
    const log = await open()
    for (let i = 0; i < 5; i++) log.record(record(`${name}-${i}`))
    await log.close()
  }
  const whole = readFileSync(path, 'utf8')
  const lines = whole.split('\n').slice(0, -1)
  const changes: Record<string, readonly string[]> = {
    'a character': lines.map((line, at) => (at === 3 ? line.replace('192.0.2.7', '192.0.2.8') : line)),
    'a line that is missing': lines.filter((_, at) => at !== 3),
    'the beginning of the log': lines.slice(2),
    'two that changed places': [...lines.slice(0, 3), lines[4] ?? '', lines[3] ?? '', ...lines.slice(5)],
    'one that was added': [...lines.slice(0, 3), '{"event":"refused"}', ...lines.slice(3)],
    'one twice': [...lines.slice(0, 3), lines[2] ?? '', ...lines.slice(3)],
    'a chain cut out': [...lines.slice(0, 7), ...lines.slice(14)],
  }
  for (const [what, changed] of Object.entries(changes)) {
    writeFileSync(path, `${changed.join('\n')}\n`)
    assert.ok((await verify()).troubles.length > 0, what)
  }
  writeFileSync(path, whole)
  assert.deepEqual((await verify()).troubles, [])
})

test('lines that were cut off an open chain show when its last line is known', async t => {
  const { open, verify, path } = trial(t)
  const log = await open()
  for (let i = 0; i < 5; i++) log.record(record(`a-${i}`))
  while (log.counts.written < 5) await new Promise(resolve => setTimeout(resolve, 5))
  const { head } = log.status()
  const known = head?.hash ?? ''
  assert.deepEqual([head?.seq, (await verifyLog(path, auditFilesMax, known)).troubles], [6, []])
  assert.equal((await verifyLog(path, auditFilesMax, known.slice(0, 16))).head?.at, `${path}:6`)
  const lines = readFileSync(path, 'utf8').split('\n')
  writeFileSync(path, `${lines.slice(0, 4).join('\n')}\n`)
  assert.deepEqual((await verify()).troubles, [], 'alone it looks whole')
  const { troubles, head: missing } = await verifyLog(path, auditFilesMax, known)
  assert.equal(missing?.at, null)
  assert.match(troubles[0]?.text ?? '', /lines were cut off$/)
})

test('a line that was cut amid being written starts a chain that says so, and is no trouble', async t => {
  const { open, verify, path } = trial(t)
  const log = await open()
  for (let i = 0; i < 5; i++) log.record(record(`a-${i}`))
  await log.close()
  truncateSync(path, statSync(path).size - 40)
  const next = await open()
  next.record(record('b-0'))
  await next.close()
  const { torn, troubles, chains } = await verify()
  assert.deepEqual([torn, troubles, chains], [1, [], 2])
  appendFileSync(path, '{"chain":"x","se')
  assert.deepEqual((await verify()).troubles, [], 'also when nothing follows')
})

test('a process that is killed loses no line that it wrote, and the next one goes on', async t => {
  const { folder, open, verify, path } = trial(t)
  const child = spawn(process.execPath, [join(import.meta.dirname, 'fixtures/writer.ts'), folder])
  t.after(() => child.kill('SIGKILL'))
  child.stdout.setEncoding('utf8')
  for await (const text of child.stdout as AsyncIterable<string>)
    if (Number(text.split(' ')[0]) >= 3_000) break
  child.kill('SIGKILL')
  await once(child, 'exit')
  const log = await open()
  log.record(record('after'))
  await log.close()
  const verdict = await verify()
  assert.deepEqual(verdict.troubles, [])
  assert.equal(verdict.open.length, 1, 'the chain of the one that was killed has no end')
  assert.ok(verdict.lines >= 2_000, String(verdict.lines))
  assert.ok(readFileSync(path, 'utf8').includes('"id":"after"'))
})

test('a disk that is full is told once, from the first line on; when there is room again the log goes on and fits', async t => {
  const { folder, path, verify } = trial(t)
  const full = (bytes: string, pid: number): void => {
    const { status } = spawnSync('prlimit', ['--pid', String(pid), `--fsize=${bytes}:unlimited`])
    assert.equal(status, 0, 'prlimit of util-linux')
  }
  // No file may grow at all, then to 10,000 bytes, then as far as it likes: EFBIG stands for ENOSPC.
  const writer = join(import.meta.dirname, 'fixtures/writer.ts')
  const child = spawn('prlimit', ['--fsize=0:unlimited', process.execPath, writer, folder])
  t.after(() => child.kill('SIGKILL'))
  let told = ''
  child.stderr.on('data', text => (told += String(text)))
  // A file that has just become full has not refused anything yet: what was dropped is what the writer counts.
  let dropped = 0
  child.stdout.on('data', text => (dropped = Number(String(text).trim().split(' ').at(-1))))
  const until = async (what: string, holds: () => boolean): Promise<void> => {
    const limit = performance.now() + 60_000
    while (!holds()) {
      assert.ok(performance.now() < limit, `${what}: ${told}`)
      await new Promise(resolve => setTimeout(resolve, 20))
    }
  }
  const bytes = (): number => statSync(path, { throwIfNoEntry: false })?.size ?? 0
  await until('it to be told', () => /can't be written: EFBIG; requests go on/.test(told))
  await until('lines to be dropped', () => dropped > 0)
  full('10000', child.pid as number)
  await until('the file to be full again', () => bytes() === 10_000)
  const before = dropped
  await until('more lines to be dropped', () => dropped > before)
  full('unlimited', child.pid as number)
  await until('the log to go on', () => bytes() > 100_000)
  child.kill('SIGKILL')
  await once(child, 'exit')
  assert.match(readFileSync(path, 'utf8'), /"event":"dropped","count":\d+/)
  assert.deepEqual((await verify()).troubles, [])
})

test('a log that has grown is put aside, as many as are kept, and its chain goes on over the files', async t => {
  const { open, verify, path, folder } = trial(t)
  const log = await open({ bytesMax: 20_000 })
  for (let round = 0; round < 30; round++) {
    for (let i = 0; i < 20; i++) log.record(record(`r-${round}-${i}`))
    const { written } = log.counts
    while (log.counts.written === written) await new Promise(resolve => setTimeout(resolve, 5))
  }
  await log.close()
  const { files, troubles } = await verify()
  assert.equal(files.length, auditFilesMax + 1, folder)
  assert.deepEqual(troubles, [])
  assert.ok(files.every(file => statSync(file).size < 60_000))
  assert.notEqual(await recordInLog(path, auditFilesMax, 'r-20-7'), null)
})

test('two processes of one edge write one log, also when one puts it aside', async t => {
  const { open, verify } = trial(t)
  const [one, other] = [await open({ bytesMax: 4_000 }), await open()]
  for (let round = 0; round < 10; round++)
    for (const log of [one, other]) {
      log.record(record(`r-${round}`))
      const { written } = log.counts
      while (log.counts.written === written) await new Promise(resolve => setTimeout(resolve, 5))
    }
  await one.close()
  await other.close()
  assert.deepEqual((await verify()).troubles, [])
})

test('what does not fit is dropped, counted and told in the log; sampling leaves out refusals and never events', async t => {
  const { open, lines } = trial(t)
  const log = await open()
  for (let i = 0; i < 10_500; i++) log.record(record('r'))
  assert.equal(log.counts.dropped, 500)
  await log.close()
  assert.equal(lines().find(line => line.event === 'dropped')?.count, 500)
  const sampled = await open({ sample: 0 })
  sampled.record(record('left-out'))
  sampled.event({ event: 'ban', part: 'ban', text: 'kept\r\nX: token=abcdef' })
  await sampled.close()
  assert.equal(sampled.counts.sampledOut, 1)
  const last = lines().findLast(line => line.event === 'ban')
  assert.equal(last?.text, 'kept\\u000d\\u000aX: token=[redacted]')
})

test('a file that can not be opened is a failure with advice, and the one before stays in use', async t => {
  const { open, folder, lines } = trial(t)
  const log = await open()
  writeFileSync(join(folder, 'a-file'), '')
  await assert.rejects(log.take({ ...spec, file: join(folder, 'a-file', 'log') }, folder), {
    code: 'GUARD_AUDIT_FILE',
  })
  log.record(record('still'))
  await log.close()
  assert.ok(lines().some(line => line.id === 'still'))
})
