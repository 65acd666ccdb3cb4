/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Feeds a corpus to a fuzz target without libFuzzer: the files named, or all of the folder
 * $top_srcdir/tests/fuzz/corpus/NAME, where NAME is the program's own without "fuzz_". It prints
 * each file before it runs it, so the one that crashes is the last line. An empty corpus is a
 * failure: it would test nothing.
 */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_SIZE_MAX (16 * 1024 * 1024) /* bytes */

/* Returns 0 or a negative errno. */
static int run_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data = NULL;
	struct stat st;
	int err = 0;

	if (!f)
		return -errno;
	if (fstat(fileno(f), &st) < 0) {
		err = -errno;
		goto out;
	}
	if (!S_ISREG(st.st_mode))
		goto out;
	if (st.st_size > INPUT_SIZE_MAX) {
		err = -EFBIG;
		goto out;
	}
	/* exactly as large as the input, so that the address sanitizer sees one byte too far */
	data = malloc(st.st_size ? (size_t)st.st_size : 1);
	if (!data) {
		err = -ENOMEM;
		goto out;
	}
	if (fread(data, 1, (size_t)st.st_size, f) != (size_t)st.st_size) {
		err = -EIO;
		goto out;
	}
	printf("%s\n", path);
	fflush(stdout);
	LLVMFuzzerTestOneInput(data, (size_t)st.st_size);
out:
	free(data);
	fclose(f);
	return err;
}

/* Returns the number of files run, or a negative errno. */
static int run_folder(const char *folder)
{
	struct dirent **entries;
	char path[8192];
	int n = scandir(folder, &entries, NULL, alphasort);
	int ran = 0;
	int err = 0;

	if (n < 0)
		return -errno;
	for (int i = 0; i < n; i++) {
		if (!err && entries[i]->d_name[0] != '.') {
			snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
			err = run_file(path);
			if (err)
				fprintf(stderr, "%s: %s\n", path, strerror(-err));
			ran++;
		}
		free(entries[i]);
	}
	free(entries);
	return err ? err : ran;
}

static int run_corpus(const char *program)
{
	const char *tree = getenv("top_srcdir");
	const char *name = strrchr(program, '/');
	char folder[4096];
	int ran;

	name = name ? name + 1 : program;
	if (strncmp(name, "fuzz_", 5) == 0)
		name += 5;
	snprintf(folder, sizeof(folder), "%s/tests/fuzz/corpus/%s", tree ? tree : ".", name);
	ran = run_folder(folder);
	if (ran < 0) {
		fprintf(stderr, "corpus %s: %s\n", folder, strerror(-ran));
		return EXIT_FAILURE;
	}
	printf("%d inputs\n", ran);
	if (ran == 0)
		fprintf(stderr, "corpus %s is empty: it would test nothing\n", folder);
	return ran ? EXIT_SUCCESS : EXIT_FAILURE;
}

int main(int argc, char **argv)
{
	int err;

	if (LLVMFuzzerInitialize)
		LLVMFuzzerInitialize(&argc, &argv);
	if (argc < 2)
		return run_corpus(argv[0]);
	for (int i = 1; i < argc; i++) {
		err = run_file(argv[i]);
		if (err) {
			fprintf(stderr, "%s: %s\n", argv[i], strerror(-err));
			return EXIT_FAILURE;
		}
	}
	return EXIT_SUCCESS;
}
