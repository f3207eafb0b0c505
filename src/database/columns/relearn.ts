// Lets a router hear that a table is another one now: it reads what tables are when a statement that defines passes through it.
// Said is one that does nothing where the name exists.

import { Client } from 'pg'
import { quoted } from '../../policy/split-columns/names.ts'

export interface RouterLogin {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
  readonly database: string
  readonly tls: boolean
}

const timeoutMs = 10_000

export async function relearnThrough(
  login: RouterLogin,
  { schema, table }: { readonly schema: string; readonly table: string },
): Promise<void> {
  const { tls, ...plain } = login
  const client = new Client({
    ...plain,
    // Our own router, by its address: its certificate is of another name.
    ...(tls ? { ssl: { rejectUnauthorized: false } } : {}),
    application_name: 'tenfold',
    connectionTimeoutMillis: timeoutMs,
    query_timeout: timeoutMs,
  })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query(`CREATE TABLE IF NOT EXISTS ${quoted(schema)}.${quoted(table)} ()`)
  } finally {
    client.end().catch(() => undefined)
  }
}
