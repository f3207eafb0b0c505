// `tenfold guard key` and `tenfold guard password`, as processes: what they make is what the edge believes.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { parseKeys, parsePasswords } from '../../src/guard/identity/index.ts'
import { findKey } from '../../src/guard/identity/keys/store.ts'
import { fits, type StoredPassword } from '../../src/guard/identity/passwords/store.ts'
import { type Project, project } from '../tools/project.ts'

interface Made {
  readonly id: string
  readonly key: string
  readonly holder: string
  readonly scopes: readonly string[]
  readonly expires?: number
}

function shop(t: TestContext): { shop: Project; file: string } {
  const made = project(t)
  made.configure({
    name: 'shop',
    services: { web: { addresses: ['127.0.0.1:9'] } },
    edge: { listen: { http: 0 }, routes: [{ path: '/*', to: 'web', guard: 'api' }] },
    guard: {
      identity: { keys: { partners: { file: 'keys.jsonl' }, staff: { file: 'staff.jsonl' } } },
      policies: { api: { require: ['key:partners', 'key:staff'] } },
    },
  })
  return { shop: made, file: join(made.directory, 'keys.jsonl') }
}

const keysOf = (file: string): ReturnType<typeof parseKeys> => parseKeys(readFileSync(file, 'utf8'))

test('a key is made, listed and revoked; the file holds its hash alone, for its owner alone', async t => {
  const { shop: here, file } = shop(t)
  const options = ['--holder', 'acme', '--scopes', 'orders:read, orders:write', '--expires', '90d']
  const { code, out, error } = await here.run('guard', 'key', 'new', 'partners', ...options, '--json')
  assert.equal(code, 0, error)
  const made = JSON.parse(out) as Made
  assert.equal(findKey(keysOf(file), made.key)?.holder, 'acme')
  assert.deepEqual(made.scopes, ['orders:read', 'orders:write'])
  assert.ok(Math.abs((made.expires ?? 0) - Date.now() - 90 * 86_400_000) < 600_000)
  assert.ok(!readFileSync(file, 'utf8').includes(made.key.slice(20)))
  assert.equal(statSync(file).mode & 0o777, 0o600)
  const other = await here.run('guard', 'key', 'new', 'partners', '--print')
  assert.match(other.out, /^tfk_[0-9a-f]{12}_[\w-]{43}\n$/)
  const listed = await here.run('guard', 'key', 'list')
  assert.match(listed.out, new RegExp(`${made.id} +partners +acme +orders:read orders:write +\\d{4}-`))
  assert.ok(!listed.out.includes(keysOf(file).get(made.id)?.hash as string))
  const gone = await here.run('guard', 'key', 'revoke', made.id)
  assert.match(gone.out, /of acme is revoked/)
  assert.deepEqual([findKey(keysOf(file), made.key), keysOf(file).size], [null, 1])
  const again = JSON.parse((await here.run('guard', 'key', 'revoke', made.id, '--json')).out) as {
    error: { code: string }
  }
  assert.equal(again.error.code, 'SYSTEM_KEYS_UNKNOWN')
  assert.deepEqual(
    readdirSync(here.directory).filter(name => /lock|new$/.test(name)),
    [],
  )
})

test('of keys that are made at once none is lost, and a command that was killed stops nobody', async t => {
  const { shop: here, file } = shop(t)
  const ended = spawn(process.execPath, ['-e', ''])
  await new Promise(resolve => ended.once('close', resolve))
  writeFileSync(`${file}.lock`, `${ended.pid}\n`)
  const all = await Promise.all(
    Array.from({ length: 3 }, () => here.run('guard', 'key', 'new', 'partners', '--json')),
  )
  for (const { code, error } of all) assert.equal(code, 0, error)
  assert.equal(keysOf(file).size, 3)
})

test('what can not be is said in a sentence and changes nothing', async t => {
  const { shop: here, file } = shop(t)
  for (const [args, said] of [
    [['key', 'new', 'partners'], /where nobody looks/],
    [['key', 'new', 'others', '--print'], /no 'others' in guard\.identity\.keys, but 'partners', 'staff'/],
    [['key', 'new', 'partners', '--print', '--expires', '2001-01-01'], /no date to come/],
    [['key', 'new', 'partners', '--print', '--scopes', 'a"b'], /is no scope/],
    [['key'], /one of new NAME, list, revoke ID/],
    [['password', 'a:b'], /is no name of a user/],
  ] as const) {
    const { code, error } = await here.run('guard', ...args)
    assert.notEqual(code, 0, args.join(' '))
    assert.match(error, said)
  }
  assert.ok(!existsSync(file))
  writeFileSync(file, 'no key\n')
  const { error } = await here.run('guard', 'key', 'new', 'partners', '--print')
  assert.match(error, /line 1 is no key/)
  assert.equal(readFileSync(file, 'utf8'), 'no key\n')
})

test('a password from a pipe becomes a line that the edge believes', async () => {
  const main = join(import.meta.dirname, '../../src/cli/main.ts')
  const child = spawn(process.execPath, [main, 'guard', 'password', 'ann'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  child.stdin.end('correct horse\n')
  let out = ''
  child.stdout.on('data', piece => {
    out += String(piece)
  })
  assert.equal(await new Promise(resolve => child.once('close', resolve)), 0)
  const stored = parsePasswords(out).get('ann') as StoredPassword
  assert.deepEqual([await fits('correct horse', stored), await fits('correct house', stored)], [true, false])
  assert.ok(!out.includes('horse'))
})
