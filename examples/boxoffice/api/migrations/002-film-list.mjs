// Fills the catalogue: the film list, cleaned, in a few statements.

import { loadFilms, plain } from '../film-list.mjs'

const filmsPerStatement = 800

export async function up(client) {
  const rows = [...loadFilms().values()].map(film => ({
    ...film,
    sort_key: plain(film.title).replace(/^(the|an?) /, ''),
    words: plain(`${film.title} ${film.director ?? ''} ${film.year ?? ''}`),
  }))
  for (let from = 0; from < rows.length; from += filmsPerStatement) {
    const some = JSON.stringify(rows.slice(from, from + filmsPerStatement))
    await client.query('INSERT INTO films SELECT * FROM jsonb_populate_recordset(NULL::films, $1)', [some])
  }
}
