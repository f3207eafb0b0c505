import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { chooseServiceUser, closedTo } from './users.ts'

function project(t: TestContext): { directory: string; file: string } {
  const directory = mkdtempSync(join(tmpdir(), 'tf-users-'))
  t.after(() => rmSync(directory, { recursive: true }))
  chmodSync(directory, 0o755)
  const file = join(directory, 'tenfold.config.ts')
  writeFileSync(file, '')
  return { directory, file }
}

const stranger = { uid: 54_321, gid: 54_321 }

test('whoever is not root runs services as himself', t => {
  const { file, directory } = project(t)
  const choice = chooseServiceUser({
    told: undefined,
    systemFile: file,
    directories: [directory],
    effectiveUserId: 1000,
  })
  assert.deepEqual(choice, { name: 'uid 1000', warning: '' })
})

test('a user who does not exist, or whom only root could become, is refused', t => {
  const { file } = project(t)
  const ask = (told: string, effectiveUserId: number): unknown =>
    chooseServiceUser({ told, systemFile: file, directories: [], effectiveUserId })
  assert.throws(() => ask('no-such-user-here', 0), { code: 'SYSTEM_USER_UNKNOWN', message: /no user/ })
  assert.throws(() => ask('root', 1000), { code: 'SYSTEM_USER_UNKNOWN', message: /Only root/ })
  const own = userInfo()
  assert.equal((ask(own.username, own.uid) as { name: string }).name, own.username)
})

test('the first folder on the way that a user may not enter is found', t => {
  const { directory } = project(t)
  const inner = join(directory, 'a', 'b')
  mkdirSync(inner, { recursive: true })
  assert.equal(closedTo(inner, stranger), null)
  chmodSync(join(directory, 'a'), 0o750)
  assert.equal(closedTo(inner, stranger), join(directory, 'a'))
  chmodSync(join(directory, 'a'), 0o751)
  assert.equal(closedTo(inner, stranger), null)
  assert.equal(closedTo(join(directory, 'a'), stranger), join(directory, 'a'), 'entering is not reading')
})

test('what is not there closes nothing', () => {
  assert.equal(closedTo('/no/such/folder', stranger), null)
})
