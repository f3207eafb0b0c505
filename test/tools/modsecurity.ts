// ModSecurity 3 in nginx, detecting only, with the Core Rule Set at several paranoia levels: what its audit log says of
// each request, known by its field X-Id.

import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { until } from './edge-harness.ts'
import { closedPort } from './raw-origin.ts'

export interface ModSecurity {
  /** One a level. */
  readonly ports: readonly number[]
  /** Ids of the rules that matched, by request; waits until all are in the log. */
  matched(ids: readonly string[]): Promise<Map<string, string[]>>
}

const module = '/usr/lib/nginx/modules/ngx_http_modsecurity_module.so'
const setup = '/etc/modsecurity/crs/crs-setup.conf'
const unicodeMap = '/etc/nginx/unicode.mapping'

interface AuditLine {
  readonly transaction: {
    readonly request: { readonly headers: Readonly<Record<string, string>> }
    readonly messages: readonly { readonly details: { readonly ruleId: string } }[]
  }
}

export async function startModSecurity(
  context: { after(end: () => Promise<void>): void },
  rules: string,
  levels: readonly number[],
): Promise<ModSecurity> {
  const folder = mkdtempSync(join(tmpdir(), 'tenfold-modsecurity-'))
  chmodSync(folder, 0o777)
  const log = join(folder, 'audit.json')
  const origin = await closedPort()
  const ports: number[] = []
  for (const _ of levels) ports.push(await closedPort())
  for (const level of levels)
    writeFileSync(join(folder, `${level}.conf`), rulesFile(folder, log, rules, level))
  writeFileSync(join(folder, 'nginx.conf'), nginxFile(folder, origin, ports, levels))
  for (const name of ['body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']) mkdirSync(join(folder, name))
  const child = spawn(
    'nginx',
    ['-c', join(folder, 'nginx.conf'), '-p', folder, '-e', join(folder, 'error.log')],
    {
      stdio: 'ignore',
      env: { ...process.env, PATH: `${process.env.PATH ?? ''}:/usr/sbin` },
    },
  )
  context.after(async () => {
    await ended(child)
    rmSync(folder, { recursive: true, force: true })
  })
  for (const port of [origin, ...ports]) await until(`nginx listens on ${port}`, () => listens(port))
  return { ports, matched: ids => matched(log, ids) }
}

function rulesFile(folder: string, log: string, rules: string, level: number): string {
  return `SecRuleEngine DetectionOnly
SecRequestBodyAccess On
SecRequestBodyLimit 131072
SecResponseBodyAccess Off
SecRule REQUEST_HEADERS:Content-Type "^application/json" "id:200001,phase:1,t:none,t:lowercase,pass,nolog,ctl:requestBodyProcessor=JSON"
SecTmpDir ${folder}
SecDataDir ${folder}
SecAuditEngine On
SecAuditLogFormat JSON
SecAuditLogType Serial
SecAuditLog ${log}
SecAuditLogParts ABHZ
SecUnicodeMapFile ${unicodeMap} 20127
Include ${setup}
SecAction "id:900000,phase:1,nolog,pass,t:none,setvar:tx.paranoia_level=${level}"
Include ${rules}/*.conf
`
}

function nginxFile(
  folder: string,
  origin: number,
  ports: readonly number[],
  levels: readonly number[],
): string {
  const servers = ports.map(
    (port, index) => `server {
  listen 127.0.0.1:${port};
  modsecurity on;
  modsecurity_rules_file ${folder}/${levels[index]}.conf;
  location / { proxy_pass http://127.0.0.1:${origin}; }
 }`,
  )
  return `daemon off;
master_process off;
pid ${folder}/pid;
load_module ${module};
events {}
http {
 access_log off;
 ignore_invalid_headers off;
 client_body_temp_path ${folder}/body;
 proxy_temp_path ${folder}/proxy;
 fastcgi_temp_path ${folder}/fastcgi;
 uwsgi_temp_path ${folder}/uwsgi;
 scgi_temp_path ${folder}/scgi;
 server { listen 127.0.0.1:${origin}; return 200 ok; }
 ${servers.join('\n ')}
}
`
}

async function matched(log: string, ids: readonly string[]): Promise<Map<string, string[]>> {
  let found = new Map<string, string[]>()
  await until('all requests are in the audit log', () => {
    found = readLog(log)
    return ids.every(id => found.has(id))
  })
  return found
}

/** A last line that is being written counts for nothing yet. */
function readLog(log: string): Map<string, string[]> {
  const text = readFileSync(log, 'latin1')
  const found = new Map<string, string[]>()
  for (const line of text.slice(0, text.lastIndexOf('\n') + 1).split('\n')) {
    if (line === '') continue
    const { transaction } = JSON.parse(line) as AuditLine
    const id = transaction.request.headers['X-Id']
    if (id !== undefined)
      found.set(
        id,
        transaction.messages.map(message => message.details.ruleId),
      )
  }
  return found
}

function listens(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}

function ended(child: ChildProcess): Promise<void> {
  return new Promise(resolve => {
    if (child.exitCode !== null) return resolve()
    child.once('exit', () => resolve())
    child.kill('SIGTERM')
  })
}
