import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { referenceDocs } from '../../.ci/reference-docs.ts';
import { listFiles, read, root } from './support/sources.ts';

describe('house: documents', () => {
  const pages = listFiles().filter((path) => path.endsWith('.md'));

  for (const [path, expected] of Object.entries(referenceDocs())) {
    it(`are what the code says: ${path}`, () => {
      assert.equal(read(path), expected, 'run `npm run docs`');
    });
  }

  it('link only to what there is', () => {
    const broken = pages.flatMap((page) => {
      const links = [...read(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link]) => link!);
      const local = links.filter((link) => !/^([a-z]+:|#)/.test(link)).map((link) => link.replace(/#.*$/, ''));
      return local.filter((link) => !existsSync(join(root, dirname(page), link))).map((link) => `${page}: ${link}`);
    });
    assert.deepEqual(broken, []);
  });

  it('name no path of the machine they were written on, and no private package registry', () => {
    const places = [
      /(?<![\w.:/-])\/(work|workspace|root|Users|home\/(?!pi\b))\S*/g,
      /https?:\/\/(?!registry\.npmjs\.org)[^\s/]*(registry|npm\.)[^\s)`]*/g,
    ];
    const found = pages.flatMap((page) =>
      places.flatMap((place) => [...read(page).matchAll(place)].map(([what]) => `${page}: ${what}`)),
    );
    assert.deepEqual(found, []);
  });

  it('end with a newline and hold no tabs', () => {
    const wrong = pages.filter((page) => !read(page).endsWith('\n') || read(page).includes('\t'));
    assert.deepEqual(wrong, []);
  });
});
