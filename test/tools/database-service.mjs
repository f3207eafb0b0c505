// For tests: a service on a database through the ordinary `pg` package. GET /add inserts a row, GET /count answers how
// many there are, GET /whoami as whom it is logged in, GET /env the names of its DATABASE_ variables.

import { createServer } from 'node:http'
import pg from 'pg'

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 4 })
// A connection that ends while it is idle is replaced at the next query.
pool.on('error', () => {})

const answers = {
  '/healthz': async () => 'ok',
  '/add': async () => {
    await pool.query('INSERT INTO notes DEFAULT VALUES')
    return 'added'
  },
  '/count': async () => (await pool.query('SELECT count(*)::int AS n FROM notes')).rows[0].n,
  '/whoami': async () => (await pool.query('SELECT session_user AS who')).rows[0].who,
  '/env': async () =>
    Object.keys(process.env)
      .filter(name => name.startsWith('DATABASE_'))
      .sort()
      .join(' '),
}

if (process.env.DATABASE_URL !== undefined)
  await pool.query('CREATE TABLE IF NOT EXISTS notes (id serial PRIMARY KEY)')

createServer(async (request, response) => {
  try {
    const answer = answers[request.url.split('?')[0]]
    response.end(answer === undefined ? 'nothing' : String(await answer()))
  } catch (error) {
    response.statusCode = 500
    response.end(`${error.code} ${error.message}`)
  }
}).listen(process.env.PORT)
