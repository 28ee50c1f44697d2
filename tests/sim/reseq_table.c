/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright (c) The vtrunkd authors */
/*
 * What the resequencer does to packets that come over two paths of unequal delay and some
 * loss, with and without the FIFO proof. The first seconds, in which it learns, do not count.
 */
#include <stdio.h>

#include "bondsim.h"

#define PPS 2000
#define SECONDS 30
#define LEARNING 5
/* So many packets overtaking one make a TCP sender believe that it was lost. */
#define DUPLICATE_ACKS 3

/* When a packet reaches TCP, with the resequencer or without it. */
static nsec_t seen(const struct bond_packet *p, bool is_resequenced)
{
	return is_resequenced ? p->delivery : p->arrival;
}

/* The packets that a TCP sender would resend although they came. */
static size_t count_spurious(const struct bond *b, size_t begin, bool is_resequenced)
{
	size_t n = 0;

	for (size_t i = begin; i < b->n_packets; i++) {
		unsigned overtakers = 0;

		for (size_t j = i + 1; j < b->n_packets && j < i + 3000; j++) {
			const struct bond_packet *later = &b->packets[j];

			overtakers +=
				!later->is_lost &&
				seen(later, is_resequenced) < seen(&b->packets[i], is_resequenced);
			if (overtakers == DUPLICATE_ACKS)
				break;
		}
		n += !b->packets[i].is_lost && overtakers == DUPLICATE_ACKS;
	}
	return n;
}

static void print_row(nsec_t spread, double loss, bool has_proof)
{
	struct bond *b = bond_new(1, 2, PPS * SECONDS);
	size_t late = 0;
	size_t arrived = 0;
	nsec_t total = 0;
	nsec_t longest = 0;

	b->has_no_proof = !has_proof;
	for (unsigned i = 0; i < 2; i++)
		*simnet_path(b->net, i) = (struct simnet_path){
			.delay = 10 * NSEC_PER_MSEC + i * spread,
			.jitter = NSEC_PER_MSEC,
			.loss = loss,
		};
	for (unsigned i = 0; i < PPS * SECONDS; i++) {
		bond_send(b, 1400);
		bond_wait(b, NSEC_PER_SEC / PPS);
	}
	bond_finish(b);
	for (size_t i = PPS * LEARNING; i < b->n_packets; i++) {
		const struct bond_packet *p = &b->packets[i];

		if (p->is_lost)
			continue;
		arrived++;
		late += p->is_late;
		total += p->delivery - p->arrival;
		longest = nsec_max(longest, p->delivery - p->arrival);
	}
	printf("| %3ld | %2.0f %% | %-3s | %6.1f | %6.2f | %6.1f | %6.3f | %6.3f | %6.2f |\n",
	       (long)(spread / NSEC_PER_MSEC), loss * 100, has_proof ? "yes" : "no",
	       (double)reseq_hold_time(b->reseq) / NSEC_PER_MSEC,
	       (double)total / (double)arrived / NSEC_PER_MSEC, (double)longest / NSEC_PER_MSEC,
	       100.0 * (double)late / (double)arrived,
	       100.0 * (double)count_spurious(b, PPS * LEARNING, true) / (double)arrived,
	       100.0 * (double)count_spurious(b, PPS * LEARNING, false) / (double)arrived);
	bond_free(b);
}

int main(void)
{
	static const nsec_t spreads[] = {0, 5, 20, 100};
	static const double losses[] = {0, 0.01};

	puts("| spread ms | loss | proof | hold ms | mean wait ms | longest ms | late % "
	     "| spurious % | without reseq. % |");
	puts("|---|---|---|---|---|---|---|---|---|");
	for (unsigned l = 0; l < 2; l++)
		for (unsigned s = 0; s < 4; s++)
			for (unsigned proof = 0; proof < 2; proof++)
				print_row(spreads[s] * NSEC_PER_MSEC, losses[l], proof);
	return 0;
}
