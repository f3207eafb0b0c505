import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { CheckedListener, CheckedSystem } from '../file/index.ts'
import { keepalivedConfig, type PairQuestion } from './keepalived.ts'

const health: CheckedListener = {
  id: 'health',
  kind: 'health',
  host: '127.0.0.1',
  port: 9901,
  path: '/health',
}
const systemWith = (...listeners: CheckedListener[]): CheckedSystem =>
  ({ name: 'ticket-shop', edge: { listeners } }) as unknown as CheckedSystem
const question: PairQuestion = {
  address: '192.0.2.10/24',
  interface: 'tf0',
  routerId: '51',
  priority: '100',
  peer: undefined,
  own: undefined,
}

/** keepalived's own opinion, quoted when it has one. It wants a real interface: one of a network that is there for this. */
function verdict(config: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'tf-keepalived-'))
  const file = join(folder, 'keepalived.conf')
  writeFileSync(file, config)
  const command = `ip link add tf0 type veth peer name tf1 && exec keepalived -t -f ${file}`
  const { status, stdout, stderr } = spawnSync('unshare', ['-n', 'sh', '-c', command], { encoding: 'utf8' })
  rmSync(folder, { recursive: true })
  return `${status} ${stdout}${stderr}`.trim()
}

const networks = spawnSync('unshare', ['-n', 'true']).status === 0
const skip = networks ? false : 'this user may not make networks (CAP_SYS_ADMIN)'

test('keepalived finds nothing wrong with the configuration, for IPv4 and IPv6, multicast and unicast', {
  skip,
}, () => {
  for (const change of [
    {},
    { address: '192.0.2.10/24, 192.0.2.11/24', priority: '101' },
    { own: '192.0.2.1', peer: '192.0.2.2', routerId: '255' },
    { address: '2001:db8::10/64' },
    { address: '2001:db8::10/64', own: '2001:db8::1', peer: '2001:db8::2' },
  ]) {
    const config = keepalivedConfig(systemWith(health), { ...question, ...change })
    assert.equal(verdict(config), '0', JSON.stringify(change))
  }
})

test('it asks the health listener on this host, wherever that listens', () => {
  const urlOf = (change: Partial<typeof health>): string | undefined =>
    /http:\S+(?=")/.exec(
      keepalivedConfig(systemWith({ ...health, ...change } as CheckedListener), question),
    )?.[0]
  assert.equal(urlOf({}), 'http://127.0.0.1:9901/health')
  assert.equal(urlOf({ host: '0.0.0.0' }), 'http://127.0.0.1:9901/health')
  assert.equal(urlOf({ host: '::' }), 'http://[::1]:9901/health')
  assert.equal(urlOf({ host: '10.0.0.7', port: 80 }), 'http://10.0.0.7:80/health')
})

test('what keepalived could not work with is refused with what to write instead', () => {
  const cases: readonly [Partial<PairQuestion>, RegExp][] = [
    [{ address: undefined }, /--address is missing/],
    [{ address: '192.0.2.10' }, /no address with its network's length/],
    [{ address: '192.0.2.10/33' }, /no address with its network's length/],
    [{ address: '192.0.2.10/24; }' }, /no address with its network's length/],
    [{ address: '192.0.2.10/24,2001:db8::1/64' }, /mixes IPv4 and IPv6/],
    [{ interface: undefined }, /--interface is missing/],
    [{ interface: 'eth0 {' }, /is no name/],
    [{ routerId: '0' }, /--router-id 0 is no whole number from 1 to 255/],
    [{ priority: '255' }, /--priority 255 is no whole number from 1 to 254/],
    [{ priority: '1e1' }, /no whole number/],
    [{ own: '192.0.2.1' }, /go together/],
    [{ own: '192.0.2.1', peer: '192.0.2.1' }, /differ/],
    [{ own: '192.0.2.1', peer: 'other' }, /--peer other is no IPv4 address/],
    [{ own: '192.0.2.1', peer: '2001:db8::1' }, /no IPv4 address/],
    [{ own: '192.0.2.10', peer: '192.0.2.2' }, /is the shared address/],
  ]
  for (const [change, message] of cases)
    assert.throws(
      () => keepalivedConfig(systemWith(health), { ...question, ...change }),
      { code: 'SYSTEM_PAIR_INVALID', message },
      JSON.stringify(change),
    )
  assert.throws(() => keepalivedConfig(systemWith(), question), /no health listener/)
  assert.throws(
    () => keepalivedConfig(systemWith({ ...health, port: 0 } as CheckedListener), question),
    /any free port/,
  )
})
