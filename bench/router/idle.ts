// Opens many PostgreSQL clients that log in and then do nothing. A program of its own:
//   PGUSER, PGPASSWORD, PGDATABASE set: node idle.ts PORT COUNT   ->   `open N` when all are in; holds them until it is ended.

import pg from 'pg'

const atOnce = 50

async function hold(port: number): Promise<boolean> {
  const client = new pg.Client({ host: '127.0.0.1', port, connectionTimeoutMillis: 60_000 })
  client.on('error', () => {})
  try {
    await client.connect()
    return true
  } catch (error) {
    console.error((error as Error).message)
    return false
  }
}

const [port = '0', count = '0'] = process.argv.slice(2)
let open = 0
for (let index = 0; index < Number(count); index += atOnce) {
  const wave = Array.from({ length: Math.min(atOnce, Number(count) - index) }, () => hold(Number(port)))
  open += (await Promise.all(wave)).filter(Boolean).length
}
console.log(`open ${open}`)
setInterval(() => {}, 60_000)
