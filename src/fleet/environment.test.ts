import assert from 'node:assert/strict'
import { test } from 'node:test'
import { instanceEnvironment } from './environment.ts'
import { marked, rig, service, until } from './fixtures/harness.ts'
import { specVersion } from './version.ts'

const instance = { member: 'web-1', port: 4000 }

test('an instance inherits the environment without tokens of ours and ties to a parent, and its own settings win', () => {
  const inherited = {
    PATH: '/bin',
    LANG: 'C',
    NODE_ENV: 'test',
    TENFOLD_TOKEN: 'secret',
    NODE_CHANNEL_FD: '3',
    PORT: '1',
    NOTHING: undefined,
  }
  const spec = service('web', { env: { LANG: 'de_DE', PORT: '2', TENFOLD_SERVICE: 'other' } })
  assert.deepEqual(instanceEnvironment(inherited, spec, instance, null), {
    PATH: '/bin',
    LANG: 'de_DE',
    NODE_ENV: 'test',
    PORT: '4000',
    TENFOLD_SERVICE: 'web',
    TENFOLD_INSTANCE: 'web-1',
  })
})

test('a name that the file uses as a secret reaches only the services that ask for it, under their own key', () => {
  const inherited = { DB_PASSWORD: 'hidden', OTHER: 'kept' }
  const web = instanceEnvironment(inherited, service('web', { withheld: ['DB_PASSWORD'] }), instance, null)
  assert.deepEqual([web.DB_PASSWORD, web.OTHER], [undefined, 'kept'])
  const asking = service('api', { withheld: ['DB_PASSWORD'], env: { DB_PASSWORD: 'hidden' } })
  assert.equal(instanceEnvironment(inherited, asking, instance, null).DB_PASSWORD, 'hidden')
})

test('another user has a home and a name of its own, unless the service says otherwise', () => {
  const runAs = { uid: 1, gid: 1, home: '/home/app', name: 'app' }
  const plain = instanceEnvironment({ HOME: '/root', USER: 'root' }, service('web'), instance, runAs)
  assert.deepEqual([plain.HOME, plain.USER, plain.LOGNAME], ['/home/app', 'app', 'app'])
  const own = instanceEnvironment({}, service('web', { env: { HOME: '/srv' } }), instance, runAs)
  assert.equal(own.HOME, '/srv')
})

test('a version changes with what a process is started with, and with nothing else', () => {
  const base = service('web', { env: { A: '1', B: '2' } })
  const versionOf = (changes: object): string => specVersion({ ...base, ...changes })
  assert.equal(versionOf({ env: { B: '2', A: '1' } }), base.version)
  assert.equal(versionOf({ instances: { min: 3, max: 9 } }), base.version)
  for (const changes of [{ command: 'x' }, { directory: '/' }, { env: {} }, { user: 'app' }]) {
    assert.notEqual(versionOf(changes), base.version)
  }
})

test('a service with a user runs as that user with only its groups; without root that is refused', async context => {
  const { fleet, mark } = rig(context)
  const command = 'echo "uid $(id -u) of $(id -G), home $HOME"; exec sleep 600'
  const spec = service('web', { command, directory: '/', user: 'nobody' })
  const applied = fleet.apply([spec])
  if (process.geteuid?.() === 0) {
    const said = await until(
      'it says who it is',
      () => marked(mark).length > 0 && fleet.status()[0]?.members[0]?.pid,
    )
    assert.ok(said)
    let text = ''
    const leave = fleet.followOutput({}, line => {
      text += line.text
    })
    await fleet.lastOutput({ lines: 1 }).then(lines => {
      text += lines.map(line => line.text).join()
    })
    await until('its output', () => text.includes('home'))
    leave()
    assert.match(text, /^uid (\d+) of \d+, home \//)
    assert.doesNotMatch(text, /^uid 0/)
    await fleet.kill()
    await applied
  } else {
    assert.equal((await applied).services[0]?.failures[0]?.code, 'FLEET_USER_NOT_ALLOWED')
  }
})

test('a user that the machine does not know is refused at once', async context => {
  const { fleet } = rig(context)
  const report = await fleet.apply([service('web', { user: 'no-such-user' })])
  assert.equal(report.services[0]?.failures[0]?.code, 'FLEET_USER_UNKNOWN')
  assert.match(report.services[0]?.failures[0]?.message ?? '', /this machine has no user "no-such-user"/)
})
