// Started as root, services run as somebody else, who cannot read what belongs to the system. On a machine where that
// cannot be had (not root, or files that other users may not reach) the test holds what Tenfold says instead.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { closedTo } from '../../src/system/users.ts'
import { site } from '../tools/system-harness.ts'

const idOf = (flag: '-u' | '-g'): number => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }))

interface WhoAmI {
  readonly uid: number
  readonly groups: readonly number[]
  readonly token: string
}

test('root drops to a user for services, who cannot read the token', async t => {
  const shop = site(t)
  const nobody = { uid: idOf('-u'), gid: idOf('-g') }
  const token = join(shop.directory, '.tenfold', 'token')
  shop.describe({ services: { web: shop.service({ env: { TOKEN_FILE: token } }) } })
  if (process.geteuid?.() !== 0) {
    const refused = await shop.run('up', '--no-watch', '--user', 'nobody')
    assert.equal(refused.code, 1)
    assert.match(refused.error, /Only root can run services as 'nobody'/)
    return
  }
  const needed = [dirname(process.execPath), import.meta.dirname]
  if (needed.some(path => closedTo(path, nobody) !== null)) {
    const { status } = await shop.begin()
    assert.equal(status.runsAs, 'root')
    assert.match(status.warnings.join(), /Services run as root, because .*--user/)
    return
  }
  const { url, status } = await shop.begin('--user', 'nobody')
  assert.equal(status.runsAs, 'nobody')
  const who = (await (await fetch(`${url}/whoami`)).json()) as WhoAmI
  assert.equal(who.uid, nobody.uid)
  assert.ok(!who.groups.includes(0), 'no supplementary groups of root')
  assert.ok(existsSync(token))
  assert.equal(who.token, 'EACCES')
})

test('a user that does not exist is refused in a sentence', async t => {
  const shop = site(t)
  shop.describe({ services: { web: shop.service() } })
  const ran = await shop.run('up', '--no-watch', '--user', 'no-such-user')
  assert.match(ran.error, /no user 'no-such-user'.*SYSTEM_USER_UNKNOWN/s)
  assert.notEqual(ran.code, 0)
})
