// Two edges, both at work, under one name with two addresses: clients go to the other when one dies. The name is given to
// the clients here, as a name server would; what they do with two addresses is their own.

import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { type RequestOptions, request } from 'node:http'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { type Project, project, type Up } from '../tools/project.ts'
import { freePort } from '../tools/system-harness.ts'

const addresses = ['127.0.0.1', '127.0.0.2'] as const

interface Site {
  readonly address: string
  readonly project: Project
  readonly up: Up
}

async function siteAt(t: TestContext, address: string, port: number): Promise<Site> {
  const one = project(t)
  one.configure({
    name: 'shop',
    control: { listen: 0 },
    services: {},
    edge: {
      listen: { http: `${address}:${port}` },
      workers: 1,
      routes: [{ path: '/*', respond: address }],
    },
  })
  return { address, project: one, up: await one.up('--no-watch') }
}

function killAtOnce({ up }: Site): void {
  process.kill(up.status.edge.pid as number, 'SIGKILL')
  up.child.kill('SIGKILL')
}

/** Node's own way with several addresses (autoSelectFamily): the next one when a connection is refused or slow. */
function askByNode(port: number): Promise<string> {
  return new Promise(resolve => {
    const options: RequestOptions & { autoSelectFamily: boolean } = {
      host: 'shop.example',
      port,
      agent: false,
      autoSelectFamily: true,
      lookup: (_, __, done) =>
        done(
          null,
          addresses.map(address => ({ address, family: 4 })),
        ),
    }
    const asked = request(options, response => {
      let text = ''
      response.setEncoding('utf8').on('data', part => (text += part))
      response.on('end', () => resolve(text))
      response.on('error', (error: NodeJS.ErrnoException) => resolve(`!${error.code}`))
    })
    asked.on('error', (error: NodeJS.ErrnoException) => resolve(`!${error.code}`))
    asked.end()
  })
}

async function askByCurl(port: number): Promise<string> {
  const resolve = `shop.example:${port}:${addresses.join(',')}`
  const args = ['--silent', '--show-error', '--max-time', '20', '--resolve', resolve]
  const { stdout } = await promisify(execFile)('curl', [...args, `http://shop.example:${port}/`])
  return stdout
}

test('of two edges under one name one may die: each client loses what is under way and no more', async t => {
  const port = await freePort()
  const sites = [await siteAt(t, addresses[0], port), await siteAt(t, addresses[1], port)] as const
  assert.equal(await askByNode(port), addresses[0])
  assert.equal(await askByCurl(port), addresses[0])

  const clients = 8
  const rounds = 60
  let asked = 0
  const lost: string[] = []
  const served = new Map<string, number>()
  await Promise.all(
    Array.from({ length: clients }, async () => {
      let own = 0
      for (let round = 0; round < rounds; round++) {
        asked += 1
        if (asked === (clients * rounds) / 3) killAtOnce(sites[0])
        const text = await askByNode(port)
        if (text.startsWith('!')) {
          own += 1
          lost.push(text)
        } else served.set(text, (served.get(text) ?? 0) + 1)
      }
      // What waits to be accepted while the process goes is reset as well.
      assert.ok(own <= 2, `one client lost ${own}`)
    }),
  )
  t.diagnostic(`${lost.length} of ${asked} requests lost: ${lost.join(' ')}`)
  assert.ok((served.get(addresses[0]) ?? 0) > 0 && (served.get(addresses[1]) ?? 0) > 0)
  assert.equal(await askByCurl(port), addresses[1])
})
