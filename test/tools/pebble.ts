// Debian's pebble, an ACME authority for tests, beside a name server that says 127.0.0.1 for every name. Both on free
// ports and ended by their pids with the test. It validates for real, and rejects a share of good nonces as it likes.

import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { get } from 'node:https'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAuthority, writePair } from './certificates.ts'
import { until } from './edge-harness.ts'
import { closedPort } from './raw-origin.ts'

interface Ending {
  after(end: () => Promise<void>): void
}

export interface Pebble {
  /** The URL for the system file. */
  readonly directory: string
  /** The authority of pebble's own HTTPS certificate. */
  readonly caFile: string
  /** PEM of the root under which it issues now: another one after each start. */
  root(): Promise<string>
  /** What it has said so far. */
  output(): string
  stop(): Promise<void>
  /** While it is stopped: somebody takes connections at its address and says nothing. */
  silence(): Promise<{ end(): Promise<void> }>
  /** At the same address, with nothing remembered. */
  start(): Promise<void>
}

/** @param httpPort Where it looks for HTTP-01 answers. `bad.example` is refused by policy. */
export async function startPebble(context: Ending, httpPort: number): Promise<Pebble> {
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-pebble-'))
  const [port, management, dns, dnsManagement] = await Promise.all([
    closedPort(),
    closedPort(),
    closedPort(),
    closedPort(),
  ])
  const authority = await createAuthority('Pebble')
  const caFile = join(folder, 'ca.pem')
  writeFileSync(caFile, authority.ca)
  const { certFile, keyFile } = writePair(folder, 'pebble', await authority.sign({ hosts: ['ip:127.0.0.1'] }))
  const config = {
    listenAddress: `127.0.0.1:${port}`,
    managementListenAddress: `127.0.0.1:${management}`,
    certificate: certFile,
    privateKey: keyFile,
    httpPort,
    tlsPort: 1,
    ocspResponderURL: '',
    externalAccountBindingRequired: false,
    domainBlocklist: ['bad.example'],
  }
  const configFile = join(folder, 'pebble.json')
  writeFileSync(configFile, JSON.stringify({ pebble: config }))
  let said = ''
  const running: ChildProcess[] = []
  const launch = (program: string, args: readonly string[]): ChildProcess => {
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, PEBBLE_VA_NOSLEEP: '1' },
    })
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        said = (said + text).slice(-100_000)
      })
    running.push(child)
    return child
  }
  launch('pebble-challtestsrv', [
    ...['-dns01', `127.0.0.1:${dns}`, '-management', `127.0.0.1:${dnsManagement}`],
    ...['-http01', '', '-https01', '', '-tlsalpn01', '', '-defaultIPv4', '127.0.0.1', '-defaultIPv6', ''],
  ])
  let pebble: ChildProcess | null = null
  const start = async (): Promise<void> => {
    pebble = launch('pebble', ['-config', configFile, '-dnsserver', `127.0.0.1:${dns}`])
    await until(`pebble to answer: ${said}`, async () => (await fetched(`${made.directory}`)) !== '')
  }
  context.after(async () => {
    for (const child of running) await ended(child)
    rmSync(folder, { recursive: true })
  })

  async function fetched(url: string): Promise<string> {
    return new Promise(resolve => {
      get(url, { ca: authority.ca }, response => {
        let text = ''
        response.setEncoding('utf8').on('data', part => (text += part))
        response.on('end', () => resolve(text))
      }).on('error', () => resolve(''))
    })
  }

  const made: Pebble = {
    directory: `https://127.0.0.1:${port}/dir`,
    caFile,
    root: () => fetched(`https://127.0.0.1:${management}/roots/0`),
    output: () => said,
    stop: async () => {
      if (pebble !== null) await ended(pebble)
    },
    silence: () => silenceAt(port),
    start,
  }
  await start()
  return made
}

function silenceAt(port: number): Promise<{ end(): Promise<void> }> {
  const sockets = new Set<Socket>()
  const server = createServer(socket => {
    sockets.add(socket)
    socket.on('error', () => {})
  })
  const end = (): Promise<void> =>
    new Promise(resolve => {
      server.close(() => resolve())
      for (const socket of sockets) socket.destroy()
    })
  return new Promise(resolve => server.listen(port, '127.0.0.1', () => resolve({ end })))
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = new Promise(resolve => child.once('exit', resolve))
  child.kill('SIGKILL')
  await exited
}
