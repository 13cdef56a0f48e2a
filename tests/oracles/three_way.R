# Rscript tests/oracles/three_way.R
# Type II three-way analysis of variance (car::Anova) of three_way.csv to three_way_anova.csv; Welch tests of the two sides in
# each cell with Benjamini and Hochberg's correction (p.adjust) to three_way_cells.csv.
suppressMessages(library(car))
here <- dirname(sub("--file=", "", grep("--file=", commandArgs(), value = TRUE)))
d <- read.csv(file.path(here, "three_way.csv"), stringsAsFactors = TRUE)
save <- function(x, file) {
  number <- sapply(x, is.double)
  x[number] <- lapply(x[number], function(v) trimws(formatC(v, digits = 14, format = "g")))
  write.csv(x, file.path(here, file), row.names = FALSE, quote = FALSE)
}
table <- Anova(lm(y ~ side * category * framing, d), type = 2)
save(data.frame(term = rownames(table), sum_sq = table[["Sum Sq"]], df = as.integer(table$Df), f = table[["F value"]],
                p = table[["Pr(>F)"]]), "three_way_anova.csv")
rows <- NULL
for (category in levels(d$category)) for (framing in c("positive", "negative")) {
  cell <- d[d$category == category & d$framing == framing, ]
  w <- t.test(cell$y[cell$side == "Llama"], cell$y[cell$side == "Gemma"])
  rows <- rbind(rows, data.frame(category, framing, difference = unname(w$estimate[1] - w$estimate[2]),
    welch_t = unname(w$statistic), welch_df = unname(w$parameter), welch_p = w$p.value))
}
rows$p_fdr <- p.adjust(rows$welch_p, "BH")
save(rows, "three_way_cells.csv")
