// The film list as it is delivered, cleaned: what the database is filled from once. The data has the dirt that real data
// has, mended here: titles that are numbers (1776, 300) or missing, letters that went through the wrong character set
// ("LÈon"), release dates of the 1910s to 1940s that say 20xx, and the same title more than once.

import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

/** The list ends in 2011; a later year is one of the last century. */
const lastYear = 2011

/** Mac Roman's upper half. The titles were Windows-1252 bytes that somebody read as Mac Roman. */
const macRoman =
  'ÄÅÇÉÑÖÜáàâäãåçéèêëíìîïñóòôöõúùûü†°¢£§•¶ß®©™´¨≠ÆØ∞±≤≥¥µ∂∑∏π∫ªºΩæø¿¡¬√ƒ≈∆«»… ÀÃÕŒœ–—“”‘’÷◊ÿŸ⁄€‹›ﬁﬂ‡·‚„‰ÂÊÁËÈÍÎÏÌÓÔÒÚÛÙıˆ˜¯˘˙˚¸˝˛ˇ'
const windows1252 = new TextDecoder('windows-1252')

function mendLetters(text) {
  return text.replace(/[^\x20-\x7e]/g, letter => {
    const place = macRoman.indexOf(letter)
    return place < 0 ? letter : windows1252.decode(Uint8Array.of(0x80 + place))
  })
}

/** Letters without their accents, lower case: what searching and addresses use. */
export function plain(text) {
  return text.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase()
}

function slugOf(title, year) {
  const words = plain(title)
    .replace(/[^a-z0-9]+/g, '-')
    .replace(/^-|-$/g, '')
  return `${words || 'film'}-${year ?? 'undated'}`
}

function yearOf(date) {
  const year = Number(/(\d{4})$/.exec(date ?? '')?.[1])
  if (!year) return null
  return year > lastYear ? year - 100 : year
}

function cleanFilm(raw) {
  const title = raw.Title === null ? 'Untitled' : mendLetters(String(raw.Title))
  const year = yearOf(raw['Release Date'])
  return {
    id: slugOf(title, year),
    title,
    year,
    genre: raw['Major Genre'] ?? 'Unclassified',
    director: raw.Director === null ? null : mendLetters(String(raw.Director)),
    certificate: raw['MPAA Rating'] ?? 'Not Rated',
    minutes: raw['Running Time min'],
    distributor: raw.Distributor,
    source: raw.Source,
    rating: raw['IMDB Rating'],
    votes: raw['IMDB Votes'] ?? 0,
    critics: raw['Rotten Tomatoes Rating'],
    gross: raw['Worldwide Gross'],
    budget: raw['Production Budget'],
  }
}

export function loadFilms() {
  const require = createRequire(import.meta.url)
  const file = join(dirname(require.resolve('vega-datasets')), '..', 'data', 'movies.json')
  const films = new Map()
  for (const raw of JSON.parse(readFileSync(file, 'utf8'))) {
    const film = cleanFilm(raw)
    for (let copy = 2; films.has(film.id); copy++) film.id = `${slugOf(film.title, film.year)}-${copy}`
    films.set(film.id, film)
  }
  return films
}
